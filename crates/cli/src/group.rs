//! `ottla group …`

mod describe;
mod reset;

use client::{Admin, Client, DescribedGroup, ListedGroup};
use model::ErrorCode;
use rt::Rt;

use crate::args::{GroupArgs, GroupCommand};
use crate::cell::{Cell, Tone};
use crate::failure::{Failure, listed};
use crate::output::{Output, column, wide};

pub(crate) use reset::{Goal, Scope, parse_goal, parse_scope};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: GroupArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    let done = carry_out(rt, &client, args.command, &mut output).await;
    // What was done before something failed is told all the same.
    output.finish(rt).await?;
    done
}

async fn carry_out(
    rt: &Rt,
    client: &Client,
    command: GroupCommand,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        GroupCommand::List => list(client, output).await?,
        GroupCommand::Describe { groups } => {
            for group in groups {
                describe::run(client, &group, output).await?;
            }
        }
        GroupCommand::Reset { group, to, shift_by, topic, dry } => {
            let goal = to.unwrap_or(Goal::Shift(shift_by.unwrap_or(0))).at(rt.wall_clock_ms());
            reset::run(client, &group, goal, &topic, dry.dry_run, output).await?;
        }
        GroupCommand::Delete { groups, dry } => {
            for group in groups {
                delete(client, &group, dry.dry_run, output).await?;
            }
        }
    }
    Ok(())
}

fn state(state: &str) -> Cell {
    let tone = match state {
        "Stable" => Tone::Good,
        "Dead" => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::Toned(tone, state.to_owned())
}

async fn list(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let groups = Admin::new(client).groups().await?;
    if groups.is_empty() && !output.is_json() {
        output.line("There are no groups. `ottla consume TOPIC -g GROUP` makes one.");
        return Ok(());
    }
    let row = |group: ListedGroup| {
        vec![
            Cell::text(&group.group),
            state(&group.state),
            Cell::maybe(Some(&group.kind).filter(|kind| !kind.is_empty())),
            Cell::maybe(Some(&group.protocol_type).filter(|kind| !kind.is_empty())),
            Cell::Int(group.coordinator.0.into()),
        ]
    };
    let columns = [column("group"), column("state"), column("type"), wide("protocol"), wide("coordinator")];
    output.rows(&columns, groups.into_iter().map(row).collect());
    Ok(())
}

/// The group, if there is one: brokers answer for any name, with a group that is dead.
async fn existing(client: &Client, group: &str) -> Result<DescribedGroup, Failure> {
    let admin = Admin::new(client);
    match admin.describe_group(group).await {
        Ok(described) if described.state != "Dead" => Ok(described),
        Err(error) if error.code() != Some(ErrorCode::GroupIdNotFound) => Err(error.into()),
        Ok(_) | Err(_) => Err(unknown_group(client, group).await),
    }
}

async fn unknown_group(client: &Client, group: &str) -> Failure {
    let failure = Failure::refused(format!("the cluster has no group '{group}'"));
    // Without the list there is no suggestion, which is no second failure.
    let groups = Admin::new(client).groups().await.unwrap_or_default();
    match crate::suggest::nearest(group, groups.iter().map(|listed| listed.group.as_str())).as_slice() {
        [] => failure.next("`ottla group list` shows those there are."),
        near => failure.next(format!("Did you mean {}?", listed(near))),
    }
}

fn counted_members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

async fn delete(client: &Client, group: &str, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
    if dry_run {
        // The protocol has no dry run for this order: what can be read has to do.
        refuse_members(group, existing(client, group).await?.members.len())?;
        let committed = Admin::new(client).committed(group).await?.len();
        if output.is_json() {
            output.json(&deleted(group, "would be deleted"));
        } else {
            output.line(&format!(
                "Would delete group '{group}' and what it committed for {committed} partitions."
            ));
        }
        return Ok(());
    }
    match Admin::new(client).delete_group(group).await {
        Ok(()) if output.is_json() => output.json(&deleted(group, "deleted")),
        Ok(()) => output.line(&format!("Deleted group '{group}'.")),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {
            return Err(unknown_group(client, group).await);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn deleted(group: &str, result: &str) -> Cell {
    Cell::Object(vec![("group", Cell::text(group)), ("result", Cell::text(result))])
}

/// What has to be left to members as long as there are any.
fn refuse_members(group: &str, members: usize) -> Result<(), Failure> {
    if members == 0 {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "group '{group}' has {}, so only they may say how far it came",
        counted_members(members)
    ))
    .next(format!("Stop them first: `ottla group describe {group}` shows them.")))
}
