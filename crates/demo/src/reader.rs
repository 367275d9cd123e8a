//! A group of one member that only reads: it writes nothing anywhere but its offsets to the group.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Consumer, ConsumerConfig, Event, GroupConfig, Positions, Record, Start};
use model::Offset;
use rt::Rt;
use rt::channel::oneshot;

use crate::error::DemoError;
use crate::feed::Feed;
use crate::group::Group;
use crate::member::Member;
use crate::stage::Stage;

/// Longest wait for records.
const POLL: Duration = Duration::from_millis(500);

/// Starts a member that reads all of a topic.
pub(crate) async fn in_group(
    stage: &Stage,
    name: &str,
    feed: &Arc<Feed>,
    on_record: impl FnMut(&Record) + Send + 'static,
) -> Result<Member, DemoError> {
    let client = sinks::connect(&stage.rt, stage.plan.bootstrap.clone(), name).await?;
    let group = Arc::new(Group::default());
    stage.board.add_group(name, None, feed, &group);
    let config = GroupConfig {
        session_timeout: stage.plan.session_timeout,
        heartbeat_interval: stage.plan.session_timeout / 4,
        auto_commit: Some(Duration::from_secs(1)),
        positions: Positions::Caller,
        ..GroupConfig::new(name)
    };
    let topics = vec![feed.topic().clone()];
    let consumer = Consumer::in_group(&client, ConsumerConfig::default(), config, topics);
    Ok(start(&client, consumer, feed, group, on_record))
}

/// Starts a member that reads one partition, and is in no group of the cluster's.
pub(crate) async fn of_partition(
    stage: &Stage,
    name: &str,
    feed: &Arc<Feed>,
    partition: usize,
    on_record: impl FnMut(&Record) + Send + 'static,
) -> Result<Member, DemoError> {
    let client = sinks::connect(&stage.rt, stage.plan.bootstrap.clone(), name).await?;
    let group = Arc::new(Group::default());
    stage.board.add_reader(name, feed, partition, &group);
    let origins = feed.origins().iter().skip(partition).take(1);
    let starts = origins.map(|(place, at)| (place.clone(), Start::At(*at))).collect();
    let consumer = Consumer::assigned(&client, ConsumerConfig::default(), &starts).await?;
    let places: Vec<_> = starts.into_keys().collect();
    group.assign(1, &places);
    for place in &places {
        group.begin(place, feed.origins()[place], stage.rt.now());
    }
    Ok(start(&client, consumer, feed, group, on_record))
}

fn start(
    client: &Client,
    mut consumer: Consumer,
    feed: &Arc<Feed>,
    group: Arc<Group>,
    mut on_record: impl FnMut(&Record) + Send + 'static,
) -> Member {
    let (rt, feed) = (client.rt().clone(), feed.clone());
    Member::start(&client.rt().clone(), |mut stop: oneshot::Receiver<()>| async move {
        loop {
            let event = rt::select! {
                _ = &mut stop => break,
                event = consumer.poll(POLL) => event,
            };
            let taken = match event {
                Ok(event) => take(&rt, &mut consumer, &feed, &group, event, &mut on_record).await,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                group.fail(error.to_string());
                return;
            }
        }
        // What it read was counted; the group's offsets are for those who watch.
        drop(consumer.close().await);
        group.remove(1);
    })
}

async fn take(
    rt: &Rt,
    consumer: &mut Consumer,
    feed: &Feed,
    group: &Group,
    event: Event,
    on_record: &mut impl FnMut(&Record),
) -> Result<(), client::Error> {
    match event {
        Event::Records(records) => {
            for record in &records {
                on_record(record);
                group.advance(&record.place(), Offset(record.offset.0 + 1));
            }
        }
        Event::Assigned(places) => {
            group.assign(1, &places);
            for place in &places {
                let from = group.position(place).or_else(|| feed.origins().get(place).copied());
                let from = from.unwrap_or(Offset::ZERO);
                consumer.seek(place, Start::At(from)).await?;
                group.begin(place, from, rt.now());
            }
        }
        Event::Revoked(_) | Event::Lost(_) => group.revoke(1),
        Event::Idle => {}
    }
    Ok(())
}
