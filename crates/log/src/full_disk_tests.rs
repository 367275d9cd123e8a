//! A disk that has no room: what does not fit is refused and was never appended, and the log goes on when it fits again.

use std::path::Path;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Producer};
use rt::Rt;
use rt::sim::Sim;

use crate::tests::{sync, values};
use crate::*;

const NODE: &str = "n1";

fn open(rt: &Rt) -> Log {
    let options = OpenOptions {
        dir: Path::new("/t-0").to_path_buf(),
        topic_id: None,
        config: LogConfig { index_interval_bytes: 100, segment_bytes: 2_000, ..LogConfig::default() },
        recovery: Recovery::From(Offset::ZERO),
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(8)),
    };
    Log::open(rt.fs(), options).expect("opens").0
}

/// The batch of an idempotent producer whose one record has `sequence` as its number and in its text.
fn batch(sequence: i32) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    let value = format!("{sequence:0100}");
    builder.push(None, Some(value.as_bytes()), &[], TimestampMs(1_000));
    let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(0), base_sequence: sequence };
    builder.build(BatchOptions { producer: Some(producer), ..BatchOptions::default() }).expect("records")
}

#[test]
fn what_does_not_fit_was_never_appended() {
    // From nothing, over a part of a batch and of several, to what takes all but a roll.
    for free in (0..6_000).step_by(61) {
        let sim = Sim::new(free);
        let rt = sim.node(NODE);
        let mut log = open(&rt);
        log.append(batch(0), LeaderEpoch(1), 0).expect("appends");
        sync(&mut log, rt.fs());
        sim.disk(NODE).set_free_bytes(free);
        let mut next = 1;
        let refused = loop {
            let gathered = next;
            let appended = (0..3).try_for_each(|_| {
                log.append(batch(next), LeaderEpoch(1), 0)?;
                next += 1;
                Ok(())
            });
            if let Err(error) = appended.and_then(|()| log.write()) {
                // A roll may have come between: what it wrote before stays.
                let end = i32::try_from(log.log_end().0).expect("few");
                assert!((gathered..=next).contains(&end), "{free}: {end} of {gathered} to {next}");
                next = end;
                break error;
            }
            assert!(next < 100, "{free} bytes hold this much");
        };
        assert!(matches!(refused, LogError::Io(_)), "{free}: {refused}");
        assert_eq!(log.fenced(), None, "{free}");
        let again = batch(next);
        assert_eq!(
            log.check_sequence(again.header(), Verified::No),
            Ok(Sequence::New),
            "{free}: its producer may send it again"
        );
        sync(&mut log, rt.fs());
        assert_eq!(log.durable_end(), log.log_end(), "{free}: what was written can be synced");
        sim.disk(NODE).set_free_bytes(1 << 30);
        for sequence in next..next + 20 {
            log.append(batch(sequence), LeaderEpoch(1), 0).expect("there is room again");
        }
        sync(&mut log, rt.fs());
        let expected: Vec<String> = (0..next + 20).map(|sequence| format!("{sequence:0100}")).collect();
        assert_eq!(values(&log.reader(), Offset::ZERO, log.log_end()), expected, "{free}");
        drop(log);
        sim.power_cut(NODE);
        let log = open(&sim.node(NODE));
        assert_eq!(values(&log.reader(), Offset::ZERO, log.log_end()), expected, "{free}: after a power cut");
    }
}
