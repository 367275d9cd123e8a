//! `ottla consume`: records out, until told to stop.
//!
//! - R1 What is shown is what the span, the count and the partitions allow; nothing is shown twice.
//! - R2 A group's offsets are committed for what was shown: also on a signal, at a count, and when nobody reads on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{
    Client, Consumer, ConsumerConfig, Event, GroupConfig, Isolation, OffsetQuery, Record, Reset, Start,
    TopicPartition,
};
use model::{Offset, PartitionIndex};
use rt::Rt;

use crate::args::ConsumeArgs;
use crate::failure::{Failure, about_topic};
use crate::output::{Reader, is_terminal, write_out};
use crate::progress::Progress;
use crate::show::Show;
use crate::span::{Begin, Finish};

/// How often ends are looked at while nothing arrives.
const POLL: Duration = Duration::from_millis(500);

/// How long nothing can be read before the user hears of it, and before it is given up.
const TROUBLE_NOTED: Duration = Duration::from_secs(2);
const TROUBLE_MAX: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) async fn run(rt: &Rt, args: ConsumeArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let places = match places(&client, &args).await {
        Ok(places) => places,
        Err(error) => return Err(about_topic(&client, &args.topic, error).await),
    };
    let now_ms = rt.wall_clock_ms();
    let begin = args.offset.from.at(now_ms);
    let isolation = args.isolation_level.into();
    let config = ConsumerConfig { reset: reset(begin), isolation, ..ConsumerConfig::default() };
    let finish = args.offset.to.or(args.exit_at_end.then_some(Finish::End));
    let consumer = match &args.group {
        Some(group) => {
            check_group(&args)?;
            Consumer::in_group(&client, config, GroupConfig::new(group), vec![args.topic.clone()])
        }
        None => {
            let starts = places.iter().map(|place| (place.clone(), begin)).collect();
            Consumer::assigned(&client, config, &starts).await?
        }
    };
    let mut reading = Reading {
        client: client.clone(),
        isolation,
        consumer,
        show: Show::new(args.format.as_ref(), args.output),
        finish,
        now_ms,
        left: args.count.unwrap_or(u64::MAX),
        progress: progress(rt, &args, finish),
        shown: 0,
        shown_bytes: 0,
        ends: BTreeMap::new(),
        is_assigned: args.group.is_none(),
        is_noted: false,
    };
    if args.group.is_none() {
        reading.find_ends().await?;
    }
    reading.run(rt).await
}

async fn places(client: &Client, args: &ConsumeArgs) -> Result<BTreeSet<TopicPartition>, client::Error> {
    let topic = client.topic(&args.topic).await?;
    let wanted: BTreeSet<PartitionIndex> = if args.partition.is_empty() {
        topic.partitions.keys().copied().collect()
    } else {
        args.partition.iter().copied().map(PartitionIndex).collect()
    };
    let mut places = BTreeSet::new();
    for partition in wanted {
        let place = TopicPartition { topic: args.topic.clone(), partition };
        client.partition(&place).await?;
        places.insert(place);
    }
    Ok(places)
}

/// Where to go on when a position is gone: nearest to where the user wanted to begin.
fn reset(begin: Start) -> Reset {
    match begin {
        Start::Earliest | Start::At(_) | Start::AfterEarliest(_) | Start::Timestamp(_) => Reset::Earliest,
        Start::Latest | Start::BeforeLatest(_) => Reset::Latest,
    }
}

/// A group knows where it is; only where it has never been can the user say.
fn check_group(args: &ConsumeArgs) -> Result<(), Failure> {
    match args.offset.from {
        Begin::Place(Start::Earliest | Start::Latest) => Ok(()),
        Begin::Place(
            Start::At(_) | Start::AfterEarliest(_) | Start::BeforeLatest(_) | Start::Timestamp(_),
        )
        | Begin::Ago(_) => {
            let group = args.group.as_deref().unwrap_or_default();
            Err(Failure::input(
                "with --group, -o says where a group begins that was never there: start or end",
            )
            .next(format!("`ottla group reset {group} --topic {} --to …` sets how far it came.", args.topic)))
        }
    }
}

/// A bar where it is known how much will come, unless the records themselves are what the terminal shows.
fn progress(rt: &Rt, args: &ConsumeArgs, finish: Option<Finish>) -> Progress {
    let is_bounded = finish.is_some() || args.count.is_some();
    if is_terminal() || !is_bounded {
        return Progress::hidden(rt);
    }
    Progress::start(rt, Some(args.count.unwrap_or(0)))
}

/// What is under way.
struct Reading {
    client: Client,
    isolation: Isolation,
    consumer: Consumer,
    show: Show,
    finish: Option<Finish>,
    now_ms: i64,
    left: u64,
    progress: Progress,
    shown: u64,
    /// Bytes of what was shown, as it was shown.
    shown_bytes: u64,
    /// Where to stop in each partition.
    ends: BTreeMap<TopicPartition, Offset>,
    is_assigned: bool,
    /// Whether the user heard of the trouble there is.
    is_noted: bool,
}

impl Reading {
    async fn run(mut self, rt: &Rt) -> Result<(), Failure> {
        let signal = rt::os::termination_signal();
        let mut signal = std::pin::pin!(signal);
        let result = loop {
            if self.is_done() {
                break Ok(());
            }
            let event = rt::select! {
                _ = &mut signal => break Ok(()),
                event = self.consumer.poll(POLL) => event,
            };
            let handled = match event {
                Ok(event) => self.on_event(rt, event).await,
                Err(error) => Err(error.into()),
            };
            match handled.and_then(|reader| self.look_for_trouble(rt).map(|()| reader)) {
                Ok(Reader::Listens) => {}
                Ok(Reader::HasGone) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        self.progress.finish(rt);
        let closed = self.consumer.close().await;
        result?;
        Ok(closed?)
    }

    /// A broker that does not answer is worth a word, and after a while an error.
    fn look_for_trouble(&mut self, rt: &Rt) -> Result<(), Failure> {
        let Some((since, error)) = self.consumer.trouble() else {
            self.is_noted = false;
            return Ok(());
        };
        let lasting = rt.now().saturating_since(since);
        if TROUBLE_MAX <= lasting {
            return Err(error.into());
        }
        if TROUBLE_NOTED <= lasting && !self.is_noted {
            self.is_noted = true;
            self.note(&format!("{error}: trying again for {} s", TROUBLE_MAX.as_secs()));
        }
        Ok(())
    }

    async fn on_event(&mut self, rt: &Rt, event: Event) -> Result<Reader, Failure> {
        match event {
            Event::Records(records) => return self.on_records(rt, records).await,
            Event::Assigned(places) => {
                self.is_assigned = true;
                self.note(&format!("reading {} as a member of the group", partitions(&places)));
                self.find_ends().await?;
            }
            Event::Revoked(_) => self.is_assigned = false,
            Event::Lost(places) => {
                self.is_assigned = false;
                self.note(&format!(
                    "the group gave {} to others: records may come twice",
                    partitions(&places)
                ));
            }
            Event::Idle => {}
        }
        Ok(Reader::Listens)
    }

    async fn on_records(&mut self, rt: &Rt, records: Vec<Record>) -> Result<Reader, Failure> {
        let mut text = Vec::new();
        let mut next: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        for record in &records {
            let place = record.place();
            if self.left == 0 {
                // Not shown, so not read: the position goes back to the first of these (R2).
                next.entry(place).or_insert(record.offset);
                continue;
            }
            if self.ends.get(&place).is_some_and(|end| *end <= record.offset) {
                next.entry(place).or_insert(record.offset);
                continue;
            }
            self.show.write(record, &mut text);
            self.left -= 1;
            self.shown += 1;
        }
        for (place, offset) in next {
            self.consumer.seek(&place, Start::At(offset)).await?;
            self.consumer.pause(&place);
        }
        if text.is_empty() {
            return Ok(Reader::Listens);
        }
        self.shown_bytes += u64::try_from(text.len()).unwrap_or(0);
        self.progress.show(rt, self.shown, self.shown, self.shown_bytes);
        write_out(rt, text).await
    }

    /// A word on the side, for people only.
    fn note(&self, text: &str) {
        use std::io::IsTerminal;
        if std::io::stderr().is_terminal() {
            self.progress.aside(|| eprintln!("\x1b[2m{text}\x1b[0m"));
        }
    }

    /// Where to stop, for what is read now.
    async fn find_ends(&mut self) -> Result<(), Failure> {
        self.ends.clear();
        let Some(finish) = self.finish else { return Ok(()) };
        let positions = self.consumer.positions();
        let all = |query: OffsetQuery| positions.keys().map(move |place| (place.clone(), query)).collect();
        let ends = self.client.list_offsets_as(self.isolation, &all(OffsetQuery::Latest)).await?;
        let timestamp = match finish {
            Finish::End | Finish::At(_) | Finish::After(_) => None,
            Finish::Timestamp(timestamp) => Some(timestamp),
            Finish::Ago(age_ms) => Some(model::TimestampMs(self.now_ms.saturating_sub(age_ms))),
        };
        let timed = match timestamp {
            Some(timestamp) => {
                self.client.list_offsets_as(self.isolation, &all(OffsetQuery::Timestamp(timestamp))).await?
            }
            None => client::Offsets::new(),
        };
        let mut left = 0u64;
        for (place, position) in positions {
            let of = |offsets: &client::Offsets| offsets.get(&place).copied().flatten();
            let end = match finish {
                Finish::End => of(&ends),
                Finish::At(offset) => Some(offset),
                Finish::After(records) => Some(position.plus(i64::try_from(records).unwrap_or(i64::MAX))),
                Finish::Timestamp(_) | Finish::Ago(_) => of(&timed).or(of(&ends)),
            };
            let to_come = end.map_or(0, |end| end.0.saturating_sub(position.0).max(0).unsigned_abs());
            left += to_come;
            self.ends.extend(end.map(|end| (place, end)));
        }
        // Offsets and records differ where some were compacted away or belong to the brokers: then the bar jumps.
        self.progress.set_length(self.shown + left.min(self.left));
        Ok(())
    }

    fn is_done(&self) -> bool {
        let at_end = || {
            let positions = self.consumer.positions();
            positions.iter().all(|(place, position)| self.ends.get(place).is_some_and(|end| end <= position))
        };
        self.left == 0 || self.finish.is_some() && self.is_assigned && at_end()
    }
}

fn partitions(places: &[TopicPartition]) -> String {
    match places {
        [] => "no partition".to_owned(),
        [one] => format!("partition {}", one.partition),
        many => {
            let indexes: Vec<String> = many.iter().map(|place| place.partition.to_string()).collect();
            format!("partitions {}", indexes.join(", "))
        }
    }
}
