//! `ottla topic alter`: settings, before and after.

use std::collections::BTreeMap;

use client::{Admin, Client, Config};
use model::{ErrorCode, TopicName};

use crate::cell::Cell;
use crate::failure::{Failure, listed};
use crate::output::{Output, column};
use crate::topic::done;

/// Runs the command.
pub(super) async fn run(
    client: &Client,
    name: &TopicName,
    set: BTreeMap<String, String>,
    unset: &[String],
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let admin = Admin::new(client);
    if let Some(both) = unset.iter().find(|key| set.contains_key(*key)) {
        return Err(Failure::input(format!("'{both}' can be set or deleted, not both")));
    }
    let configs = done(client, name, admin.topic_configs(name).await).await?;
    let before: BTreeMap<&str, &Config> =
        configs.iter().map(|config| (config.name.as_str(), config)).collect();
    let altered = if dry_run {
        admin.validate_topic_configs(name, &set, unset).await
    } else {
        admin.alter_topic_configs(name, &set, unset).await
    };
    let is_refused = matches!(&altered, Err(error) if error.code() == Some(ErrorCode::InvalidConfig));
    let unknown = set.keys().chain(unset).find(|key| !before.contains_key(key.as_str()));
    if let (true, Some(unknown)) = (is_refused, unknown) {
        let failure = Failure::refused(format!("topics have no setting '{unknown}'"));
        return Err(match crate::suggest::nearest(unknown, before.keys().copied()).as_slice() {
            [] => failure.next(format!("`ottla topic describe {name} -o wide` shows those they have.")),
            near => failure.next(format!("Did you mean {}?", listed(near))),
        });
    }
    done(client, name, altered).await?;
    // What is put back falls to a default that only the cluster knows.
    let now = if dry_run { Vec::new() } else { done(client, name, admin.topic_configs(name).await).await? };
    let after: BTreeMap<&str, &Config> = now.iter().map(|config| (config.name.as_str(), config)).collect();
    let value = |known: &BTreeMap<&str, &Config>, key: &str| {
        Cell::maybe(known.get(key).and_then(|config| config.value.as_ref()))
    };
    let setting = set.iter().map(|(key, value)| (key, Cell::text(value)));
    let unsetting = unset.iter().map(|key| (key, value(&after, key)));
    let row = |(key, after): (&String, Cell)| {
        vec![Cell::text(name), Cell::text(key), value(&before, key), after, Cell::Bool(!dry_run)]
    };
    let columns = [column("topic"), column("setting"), column("before"), column("after"), column("done")];
    output.rows(&columns, setting.chain(unsetting).map(row).collect());
    Ok(())
}
