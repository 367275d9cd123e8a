//! `ottla demo`: scenarios from [`demo`], drawn while they run, or a line of JSON a second.
//!
//! - D1 What is drawn and what is JSON come from the same cells, as everywhere.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use demo::{Board, DemoError, Fact, Figure, GroupSum, Plan, Scenario, Summary, TopicSum, View};
use rt::{Instant, Rt};

use crate::args::{DemoArgs, DemoScenario};
use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::number;
use crate::output::{Column, Output, column, object};

/// Time between two frames on a terminal, and between two lines of JSON.
const FRAME: Duration = Duration::from_millis(250);
const LINE: Duration = Duration::from_secs(1);

/// A rate is over so long.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Events that are seen at once.
const EVENTS_SHOWN: usize = 5;

/// Without a sign of life for so long a member is given up: in a cluster that allows it, and in any other of Kafka's.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);
const SESSION_TIMEOUT_ELSEWHERE: Duration = Duration::from_secs(6);

/// Runs a demo on the cluster at `bootstrap`; what it needs of files goes into `folder`.
pub(crate) async fn run(
    rt: &Rt,
    args: &DemoArgs,
    bootstrap: Vec<String>,
    folder: &Path,
) -> Result<(), Failure> {
    let scenario = scenario(args.scenario);
    let url = args.database.clone().unwrap_or_else(|| format!("sqlite:{}", folder.join("demo.db").display()));
    let password = args.password_env.clone().map(sink::Password::Variable);
    let is_ours = args.bootstrap.is_none();
    let plan = Plan {
        bootstrap,
        database: sink::Database { url, password },
        seconds: args.seconds,
        rate: args.rate,
        session_timeout: if is_ours { SESSION_TIMEOUT } else { SESSION_TIMEOUT_ELSEWHERE },
    };
    let board = Arc::new(Board::new(rt));
    let mut screen = Screen::new(args, scenario);
    let every = if screen.is_json { LINE } else { FRAME };
    let mut next = rt.now() + every;
    let mut playing = std::pin::pin!(demo::run(rt, scenario, plan, &board));
    let summary = loop {
        rt::select! {
            summary = &mut playing => break summary,
            () = rt.sleep_until(next) => {
                next = next + every;
                screen.show(rt, board.view()).await?;
            }
        }
    };
    let summary = summary.map_err(failed)?;
    screen.finish(rt, &summary).await?;
    match summary.agrees() {
        true => Ok(()),
        false => Err(Failure::refused("the numbers do not agree: something was lost, or came twice")),
    }
}

fn failed(error: DemoError) -> Failure {
    match error {
        DemoError::Cluster(error) => error.into(),
        DemoError::Database(error) => Failure::refused(error.message),
        DemoError::Stuck(problem) => Failure::refused(problem),
    }
}

fn scenario(asked: DemoScenario) -> Scenario {
    match asked {
        DemoScenario::Rides => Scenario::Rides,
        DemoScenario::Delivery => Scenario::Delivery,
        DemoScenario::Chat => Scenario::Chat,
        DemoScenario::Orders => Scenario::Orders,
        DemoScenario::Analytics => Scenario::Analytics,
    }
}

/// Where the demo is seen.
struct Screen<'a> {
    args: &'a DemoArgs,
    scenario: Scenario,
    is_json: bool,
    /// Looks of the last second, to tell rates from.
    looks: VecDeque<(Instant, View)>,
    /// Lines of the frame that is seen now.
    drawn: usize,
}

impl<'a> Screen<'a> {
    fn new(args: &'a DemoArgs, scenario: Scenario) -> Screen<'a> {
        let is_json = Output::new(args.output.output).is_json();
        Screen { args, scenario, is_json, looks: VecDeque::new(), drawn: 0 }
    }

    fn output(&self) -> Output {
        Output::new(self.args.output.output)
    }

    /// Shows how it goes.
    async fn show(&mut self, rt: &Rt, view: View) -> Result<(), Failure> {
        let now = rt.now();
        while 1 < self.looks.len() && self.looks[1].0 + RATE_OVER <= now {
            self.looks.pop_front();
        }
        self.looks.push_back((now, view));
        if !self.is_json && !crate::output::is_terminal() {
            return Ok(());
        }
        let bytes = if self.is_json { self.line() } else { self.frame() };
        crate::output::write_out(rt, bytes).await.map(drop)
    }

    /// How many more a second, by the name of what there are more of.
    fn per_s(&self, count: impl Fn(&View) -> u64) -> Cell {
        let rate = self.looks.front().zip(self.looks.back()).map_or(0, |((from, before), (to, now))| {
            number::rate(count(now).saturating_sub(count(before)), to.saturating_since(*from))
        });
        int(rate)
    }

    /// The last look, as rows.
    fn topics(&self, view: &View) -> Vec<Vec<Cell>> {
        let row = |(index, topic): (usize, &demo::TopicView)| {
            let rate = self.per_s(|view| view.topics.get(index).map_or(0, |topic| topic.messages));
            vec![Cell::text(&topic.name), int(topic.messages), rate]
        };
        view.topics.iter().enumerate().map(row).collect()
    }

    fn groups(&self, view: &View) -> Vec<Vec<Cell>> {
        let row = |(index, group): (usize, &demo::GroupView)| {
            let rate = self.per_s(|view| view.groups.get(index).map_or(0, |group| group.messages));
            let rows = group.table.map_or(Cell::None, |_| int(group.messages));
            let owners = match self.is_json {
                true => Cell::List(group.members.iter().map(member).collect()),
                false => Cell::Text(owners(&group.members)),
            };
            vec![Cell::text(&group.name), int(group.messages), rate, int(group.lag()), rows, owners]
        };
        view.groups.iter().enumerate().map(row).collect()
    }

    fn line(&self) -> Vec<u8> {
        let Some((_, view)) = self.looks.back() else { return Vec::new() };
        let objects = |columns: &[Column], rows: Vec<Vec<Cell>>| {
            Cell::List(rows.into_iter().map(|row| object(columns, row)).collect())
        };
        let mut fields = vec![
            ("seconds", view.elapsed.map_or(Cell::None, |elapsed| Cell::Real(elapsed.as_secs_f64()))),
            ("topics", objects(&TOPICS, self.topics(view))),
            ("groups", objects(&GROUPS, self.groups(view))),
        ];
        fields.extend(view.facts.iter().map(|fact| (fact.name, figure(fact))));
        fields.push(("events", Cell::List(view.events.iter().map(|(_, event)| Cell::text(event)).collect())));
        let mut output = self.output();
        output.json(&Cell::Object(fields));
        std::mem::take(output.bytes())
    }

    /// The whole picture, over the one before.
    fn frame(&mut self) -> Vec<u8> {
        let Some((_, view)) = self.looks.back() else { return Vec::new() };
        let mut output = self.output();
        output.heading(self.scenario.title());
        output.line(&self.clock(view));
        output.line("");
        output.table(&TOPICS, &self.topics(view));
        output.line("");
        output.table(&GROUPS, &self.groups(view));
        if !view.facts.is_empty() {
            output.line("");
            put_facts(&mut output, &view.facts);
        }
        if !view.events.is_empty() {
            output.line("");
        }
        for (at, event) in view.events.iter().rev().take(EVENTS_SHOWN).rev() {
            output.line(&format!("{:5.1} s  {event}", at.as_secs_f64()));
        }
        // As many as the terminal has: what has left it at the top cannot be drawn over.
        let height = console::Term::stdout().size_checked().map_or(24, |(height, _)| usize::from(height));
        let lines = std::mem::take(output.bytes());
        self.over_the_last(lines.split_inclusive(|&byte| byte == b'\n').take(height.saturating_sub(1)))
    }

    fn clock(&self, view: &View) -> String {
        let seconds = self.args.seconds;
        match view.elapsed {
            None => "getting ready".to_owned(),
            Some(elapsed) if elapsed.as_secs() < seconds => format!("{} of {seconds} s", elapsed.as_secs()),
            Some(_) => "all is written; the groups finish".to_owned(),
        }
    }

    /// These lines in the place of those that are seen.
    fn over_the_last<'b>(&mut self, lines: impl Iterator<Item = &'b [u8]>) -> Vec<u8> {
        let mut bytes = match self.drawn {
            0 => Vec::new(),
            drawn => format!("\x1b[{drawn}A\r").into_bytes(),
        };
        self.drawn = 0;
        for line in lines {
            bytes.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            bytes.extend_from_slice(b"\x1b[K\n");
            self.drawn += 1;
        }
        bytes.extend_from_slice(b"\x1b[J");
        bytes
    }

    /// What it came to.
    async fn finish(&mut self, rt: &Rt, summary: &Summary) -> Result<(), Failure> {
        let mut output = self.output();
        if self.is_json {
            output.json(&as_json(self.scenario, summary));
            return output.finish(rt).await;
        }
        output.heading(self.scenario.title());
        output.line("");
        output.table(&TOPIC_SUMS, &summary.topics.iter().map(topic_sum).collect::<Vec<_>>());
        output.line("");
        output.table(&GROUP_SUMS, &summary.groups.iter().map(group_sum).collect::<Vec<_>>());
        if !summary.facts.is_empty() {
            output.line("");
            put_facts(&mut output, &summary.facts);
        }
        output.line("");
        for line in words(self.args, summary) {
            output.line(&line);
        }
        for claim in &summary.claims {
            let (tone, answer) = if claim.is_true { (Tone::Good, "yes") } else { (Tone::Bad, "NO") };
            output.toned_line(tone, &format!("{}: {answer}", claim.what));
        }
        let (tone, verdict) = match summary.agrees() {
            true => (Tone::Good, "checked: messages in = messages in each group = rows, each once"),
            false => (Tone::Bad, "checked: the numbers do not agree"),
        };
        output.toned_line(tone, verdict);
        let lines = std::mem::take(output.bytes());
        let bytes = match self.drawn {
            0 => lines,
            _ => self.over_the_last(lines.split_inclusive(|&byte| byte == b'\n')),
        };
        crate::output::write_out(rt, bytes).await.map(drop)
    }
}

const TOPICS: [Column; 3] = [column("topic"), column("messages"), column("per_s")];
const GROUPS: [Column; 6] =
    [column("group"), column("messages"), column("per_s"), column("lag"), column("rows"), column("members")];
const TOPIC_SUMS: [Column; 3] = [column("topic"), column("messages_in"), column("in_log")];
const GROUP_SUMS: [Column; 6] = [
    column("group"),
    column("messages_in"),
    column("messages"),
    column("rows"),
    column("distinct"),
    column("table"),
];

fn topic_sum(sum: &TopicSum) -> Vec<Cell> {
    vec![Cell::text(&sum.name), int(sum.messages), int(sum.in_log)]
}

fn group_sum(sum: &GroupSum) -> Vec<Cell> {
    vec![
        Cell::text(&sum.name),
        int(sum.messages_in),
        int(sum.messages),
        sum.rows.map_or(Cell::None, int),
        sum.distinct.map_or(Cell::None, int),
        Cell::maybe(sum.table),
    ]
}

fn as_json(scenario: Scenario, summary: &Summary) -> Cell {
    let topics = summary.topics.iter().map(|sum| object(&TOPIC_SUMS, topic_sum(sum))).collect();
    let groups = summary.groups.iter().map(|sum| object(&GROUP_SUMS, group_sum(sum))).collect();
    let claims = summary.claims.iter().map(|claim| {
        Cell::Object(vec![("what", Cell::text(&claim.what)), ("is_true", Cell::Bool(claim.is_true))])
    });
    let mut fields = vec![
        ("summary", Cell::text(scenario.title())),
        ("rate", int(summary.rate)),
        ("cores", Cell::count(summary.cores)),
        ("written_for_s", Cell::Real(summary.written_for.as_secs_f64())),
        ("drained_for_s", Cell::Real(summary.drained_for.as_secs_f64())),
        ("topics", Cell::List(topics)),
        ("groups", Cell::List(groups)),
        ("claims", Cell::List(claims.collect())),
    ];
    fields.extend(summary.facts.iter().map(|fact| (fact.name, figure(fact))));
    fields.push(("agrees", Cell::Bool(summary.agrees())));
    Cell::Object(fields)
}

/// What was done, and how fast that was.
fn words(args: &DemoArgs, summary: &Summary) -> Vec<String> {
    let messages = summary.topics.iter().map(|topic| topic.messages).sum();
    let rate = number::grouped(summary.rate);
    let asked = match args.rate {
        Some(_) => format!("{rate} were asked for"),
        None => format!("{rate} is what two cores carry"),
    };
    let cores = if summary.cores == 1 { "1 core".to_owned() } else { format!("{} cores", summary.cores) };
    vec![
        format!(
            "{} messages in {:.1} s, {} a second; {asked}",
            number::grouped(messages),
            summary.written_for.as_secs_f64(),
            number::grouped(number::rate(messages, summary.written_for)),
        ),
        format!(
            "this machine has {cores}; every group was done {:.1} s after the last message",
            summary.drained_for.as_secs_f64()
        ),
    ]
}

fn put_facts(output: &mut Output, facts: &[Fact]) {
    let columns: Vec<Column> = facts.iter().map(|fact| column(fact.name)).collect();
    output.table(&columns, &[facts.iter().map(figure).collect()]);
}

fn figure(fact: &Fact) -> Cell {
    match &fact.figure {
        Figure::Count(count) => int(*count),
        Figure::Time(time) => time.map_or(Cell::None, |time| Cell::Real(time.as_secs_f64() * 1e3)),
        Figure::Text(text) => Cell::text(text),
    }
}

fn member((number, partitions): &(usize, Vec<i32>)) -> Cell {
    let partitions = partitions.iter().map(|&partition| Cell::Int(partition.into())).collect();
    Cell::Object(vec![("member", Cell::count(*number)), ("partitions", Cell::List(partitions))])
}

/// `1:0-2 2:3,5`: each member's partitions.
fn owners(members: &[(usize, Vec<i32>)]) -> String {
    let member = |(number, partitions): &(usize, Vec<i32>)| format!("{number}:{}", ranges(partitions));
    members.iter().map(member).collect::<Vec<_>>().join(" ")
}

fn ranges(numbers: &[i32]) -> String {
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

fn int(number: u64) -> Cell {
    Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_shown_shortly() {
        assert_eq!(owners(&[(1, vec![0, 1, 2]), (3, vec![3, 5]), (4, vec![])]), "1:0-2 3:3,5 4:");
    }
}
