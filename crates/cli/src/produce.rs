//! `ottla produce`: lines in, records out.
//!
//! - W1 Memory holds what the producer buffers, whatever the input's size: reading waits for writing.
//! - W2 What is reported as written was acknowledged as `--acks` asks.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use client::{Acks, Client, Delivery, NewRecord, Producer, ProducerConfig};
use model::PartitionIndex;
use record::{Compression, Header};
use rt::Rt;

use crate::args::{AcksArg, CompressionArg, ProduceArgs};
use crate::cell::Cell;
use crate::failure::{Failure, about_topic};
use crate::input::{Input, Lines};
use crate::number;
use crate::output::Output;
use crate::progress::Progress;

/// Records between two looks at the progress bar.
const RECORDS_PER_LOOK: u64 = 1024;

/// Runs the command.
pub(crate) async fn run(rt: &Rt, args: ProduceArgs) -> Result<(), Failure> {
    let input = Input::open(rt, args.file.as_deref()).await?;
    let client = crate::connect(rt, &args.connect).await?;
    check_target(&client, &args).await?;
    let config = ProducerConfig {
        acks: acks(args.acks),
        compression: compression(args.compression),
        delivery_timeout: Duration::from_secs(60),
        ..ProducerConfig::default()
    };
    // Nobody needs to see how far they have typed.
    let is_typed = input.length().is_none() && std::io::stdin().is_terminal();
    let progress = if is_typed { Progress::hidden(rt) } else { Progress::start(rt, input.length()) };
    let mut writing = Writing {
        producer: Producer::new(&client, config),
        deliveries: VecDeque::new(),
        sent: 0,
        written: 0,
        bytes: 0,
    };
    let result = writing.write_all(rt, &args, Lines::new(input), &progress).await;
    let elapsed = progress.finish(rt);
    let mut output = Output::new(args.output.output);
    match result {
        Ok(()) => {
            report(&args, &writing, elapsed, &mut output);
            output.finish(rt).await
        }
        Err(failure) => {
            Err(failure.after(format_args!("{} records were written", number::grouped(writing.written))))
        }
    }
}

async fn check_target(client: &Client, args: &ProduceArgs) -> Result<(), Failure> {
    let checked = match args.partition {
        Some(index) => {
            client.partition(&client::TopicPartition::new(args.topic.clone(), index)).await.map(drop)
        }
        None => client.topic(&args.topic).await.map(drop),
    };
    match checked {
        Ok(()) => Ok(()),
        Err(error) => Err(about_topic(client, &args.topic, error).await),
    }
}

pub(crate) fn acks(asked: AcksArg) -> Acks {
    match asked {
        AcksArg::None => Acks::None,
        AcksArg::Leader => Acks::Leader,
        AcksArg::All => Acks::All,
    }
}

pub(crate) fn compression(asked: CompressionArg) -> Compression {
    match asked {
        CompressionArg::None => Compression::None,
        CompressionArg::Gzip => Compression::Gzip,
        CompressionArg::Snappy => Compression::Snappy,
        CompressionArg::Lz4 => Compression::Lz4,
        CompressionArg::Zstd => Compression::Zstd,
    }
}

/// What is under way.
struct Writing {
    producer: Producer,
    deliveries: VecDeque<Delivery>,
    sent: u64,
    written: u64,
    /// Bytes of keys and values sent.
    bytes: u64,
}

impl Writing {
    /// Sends every line and waits until all are written; a signal to end counts as the input's end.
    async fn write_all(
        &mut self,
        rt: &Rt,
        args: &ProduceArgs,
        mut lines: Lines,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let signal = rt::os::termination_signal();
        let mut signal = std::pin::pin!(signal);
        let headers: Vec<Header<'_>> = (args.header.iter())
            .map(|(key, value)| Header { key: key.as_bytes(), value: Some(value.as_bytes()) })
            .collect();
        let mut sending = Ok(());
        loop {
            let line = rt::select! {
                line = lines.next(rt) => line,
                _ = &mut signal => break,
            };
            let line = match line {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(failure) => {
                    sending = Err(failure);
                    break;
                }
            };
            if let Err(failure) = self.send(args, &headers, line).await {
                sending = Err(failure);
                break;
            }
            self.collect()?;
            if self.sent.is_multiple_of(RECORDS_PER_LOOK) {
                progress.show(rt, lines.bytes(), self.sent, lines.bytes());
            }
        }
        progress.show(rt, lines.bytes(), self.sent, lines.bytes());
        self.producer.flush().await;
        self.collect()?;
        sending
    }

    async fn send(&mut self, args: &ProduceArgs, headers: &[Header<'_>], line: &[u8]) -> Result<(), Failure> {
        let (key, value) = match &args.key_separator {
            None => (None, line),
            Some(separator) => match split(line, separator.as_bytes()) {
                Some((key, value)) => (Some(key), value),
                None => {
                    return Err(Failure::input(format!(
                        "line {} has no key: no {separator:?} in it",
                        self.sent + 1
                    ))
                    .next("Without --key-separator a line is a value alone."));
                }
            },
        };
        let record = NewRecord {
            partition: args.partition.map(PartitionIndex),
            key,
            value: Some(value),
            headers,
            timestamp: None,
        };
        let delivery = self
            .producer
            .send(&args.topic, record)
            .await
            .map_err(|error| Failure::from(error).after(format_args!("line {}", self.sent + 1)))?;
        self.deliveries.push_back(delivery);
        self.sent += 1;
        self.bytes += u64::try_from(key.map_or(0, <[u8]>::len) + value.len()).unwrap_or(0);
        Ok(())
    }

    /// Takes note of what is certain; the first record that was not written ends it.
    fn collect(&mut self) -> Result<(), Failure> {
        while let Some(front) = self.deliveries.front_mut() {
            match front.try_take() {
                None => break,
                Some(Ok(_)) => {
                    self.written += 1;
                    self.deliveries.pop_front();
                }
                Some(Err(error)) => {
                    return Err(Failure::from(error).after(format_args!("line {}", self.written + 1)));
                }
            }
        }
        Ok(())
    }
}

/// What comes before and after the first `separator`.
fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

fn report(args: &ProduceArgs, writing: &Writing, elapsed: Duration, output: &mut Output) {
    if output.is_json() {
        output.json(&Cell::Object(vec![
            ("topic", Cell::text(&args.topic)),
            ("records", Cell::Int(i64::try_from(writing.written).unwrap_or(i64::MAX))),
            ("bytes", Cell::Int(i64::try_from(writing.bytes).unwrap_or(i64::MAX))),
            ("seconds", Cell::Real(elapsed.as_secs_f64())),
        ]));
        return;
    }
    let acknowledged = if args.acks == AcksArg::None { "Sent" } else { "Wrote" };
    output.line(&format!(
        "{acknowledged} {} records ({}) to topic '{}' in {:.2} s: {} records/s",
        number::grouped(writing.written),
        number::bytes(writing.bytes),
        args.topic,
        elapsed.as_secs_f64(),
        number::grouped(number::rate(writing.written, elapsed)),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_the_first_separator() {
        let check = |line: &str, separator: &str, expected: Option<(&str, &str)>| {
            let split = split(line.as_bytes(), separator.as_bytes());
            assert_eq!(split, expected.map(|(key, value)| (key.as_bytes(), value.as_bytes())), "{line}");
        };
        check("k:v:w", ":", Some(("k", "v:w")));
        check("k=>v", "=>", Some(("k", "v")));
        check(":v", ":", Some(("", "v")));
        check("k:", ":", Some(("k", "")));
        check("kv", ":", None);
        check("", "::", None);
    }
}
