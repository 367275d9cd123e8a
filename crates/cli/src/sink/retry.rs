//! `ottla sink retry`: dead letters, driven in again.

use std::path::Path;

use bytes::Bytes;
use client::TopicPartition;
use model::{Offset, PartitionIndex, TopicName};
use rt::Rt;
use sinks::Retried;

use crate::args::SinkRetryArgs;
use crate::cell::Cell;
use crate::failure::Failure;
use crate::output::Output;

/// Runs the command.
pub(super) async fn run(
    rt: &Rt,
    args: SinkRetryArgs,
    asked: Option<Vec<String>>,
    output: &mut Output,
) -> Result<(), Failure> {
    let SinkRetryArgs { file, mend, value } = args;
    let definition = super::read(rt, Path::new(&file)).await?;
    let Some(letters) = &definition.dead_letters else {
        return Err(Failure::input(format!("sink '{}' keeps no dead letters", definition.name))
            .next("Name a topic for them in its file: dead_letters = \"TOPIC\"."));
    };
    let bootstrap = super::bootstrap(asked, Some(&definition));
    let client = sinks::connect(rt, bootstrap, &definition.name).await?;
    if let Some(record) = mend {
        let (place, offset) = record_of(&record)?;
        let value = value.map(|value| Bytes::from(value.into_bytes()));
        if !sinks::mend(&client, &definition, &place, offset, value).await? {
            let found = format!("topic {letters} has no letter of sink '{}' about {record}", definition.name);
            return Err(Failure::refused(found).next(format!(
                "`ottla consume {letters} -o start:end -f json` shows those there are: ottla.topic, ottla.partition and \
                 ottla.offset say which records they are."
            )));
        }
    }
    let signal = async {
        // A process that hears of no signals ends without one.
        drop(rt::os::termination_signal().await);
    };
    let say = super::lines_on_stderr(rt, &definition.name);
    let Retried { rows, letters: refused } = sinks::retry(&client, &definition, signal, say).await?;
    if output.is_json() {
        output.json(&Cell::Object(vec![("rows", Cell::count(rows)), ("refused", Cell::count(refused))]));
        return Ok(());
    }
    output.line(&match (rows, refused) {
        (0, 0) => format!("Topic {letters} has no letter of sink '{}' to drive in.", definition.name),
        (rows, 0) => format!("Wrote {rows} rows; no record is refused any more."),
        (rows, refused) => {
            format!(
                "Wrote {rows} rows; {refused} records are refused again, and have new letters in {letters}."
            )
        }
    });
    Ok(())
}

/// `TOPIC:PARTITION:OFFSET`.
fn record_of(text: &str) -> Result<(TopicPartition, Offset), Failure> {
    let read = || {
        let mut parts = text.rsplitn(3, ':');
        let offset = Offset(parts.next()?.parse().ok()?);
        let partition = PartitionIndex(parts.next()?.parse().ok()?);
        let topic = TopicName::parse(parts.next()?).ok()?;
        Some((TopicPartition { topic, partition }, offset))
    };
    read().ok_or_else(|| Failure::input(format!("'{text}' is no record: TOPIC:PARTITION:OFFSET is expected")))
}
