//! Readers beside a writer, and random reads of random logs against a model.

use model::{LeaderEpoch, Offset};

use crate::tests::{Folder, append, batch_of, small_segments, values};
use crate::*;

fn is_send<T: Send>() {}

#[test]
fn logs_move_between_threads_and_readers_are_shared() {
    is_send::<Log>();
    is_send::<LogReader>();
    let folder = Folder::new("threads");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    let reader = log.reader();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while reader.log_end() < Offset(400) {
                    let end = reader.log_end();
                    let read = values(&reader, Offset::ZERO, end);
                    let expected: Vec<String> = (0..end.0).map(|value| value.to_string()).collect();
                    assert_eq!(read, expected);
                }
            });
        }
        for value in 0..400 {
            append(&mut log, &[&value.to_string()]);
            log.write().expect("writes");
            log.set_high_watermark(log.log_end());
        }
    });
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Any read of any log returns whole batches of the model, from the one asked for, within its limits.
    #[test]
    fn reads_agree_with_a_model(
        batches in proptest::collection::vec((1usize..4, 0usize..150), 1..30),
        segment_bytes in 700u64..3000,
        reads in proptest::collection::vec((0i64..100, 0i64..100, 0u64..2000, proptest::bool::ANY), 1..60),
        reopen: bool,
    ) {
        let folder = Folder::new(&format!("model-{segment_bytes}-{}-{}", batches.len(), reads.len()));
        let mut options = folder.options(Recovery::Clean);
        options.config.segment_bytes = segment_bytes;
        let (mut log, _) = Log::open(&folder.fs, options.clone()).expect("opens");
        // Per batch: base offset, next offset, size, and where its segment began.
        let mut model: Vec<(i64, i64, u64, i64)> = Vec::new();
        let mut segment = (0i64, 0u64);
        for &(records, size) in &batches {
            let value = "v".repeat(size);
            let batch = batch_of(&vec![value.as_str(); records], 1000);
            let bytes = u64::try_from(batch.size_in_bytes()).expect("small");
            let appended = log.append(batch, LeaderEpoch(0), 0).expect("appends");
            if segment_bytes < segment.1 + bytes {
                segment = (appended.base_offset.0, 0);
            }
            segment.1 += bytes;
            model.push((appended.base_offset.0, appended.last_offset.0 + 1, bytes, segment.0));
        }
        let end = log.log_end();
        log.write().expect("writes");
        if reopen {
            log.close().expect("closes");
            (log, _) = Log::open(&folder.fs, options).expect("opens");
        }
        let boundaries: Vec<i64> = std::iter::once(0).chain(model.iter().map(|batch| batch.1)).collect();
        for (from, up_to, max_bytes, whole) in reads {
            let from = from % (end.0 + 1);
            let up_to = boundaries[usize::try_from(up_to).expect("small") % boundaries.len()];
            let first_batch = if whole { FirstBatch::Whole } else { FirstBatch::Limited };
            let limits = ReadLimits { max_bytes, first_batch, cold: Cold::Check };
            let slice = log.reader().read(Offset(from), Offset(up_to), limits).expect("reads").slice;
            let candidates: Vec<_> = model.iter().filter(|batch| from < batch.1 && batch.1 <= up_to).collect();
            let expected = candidates.first().filter(|_| from < up_to).and_then(|first| {
                let inside = candidates.iter().filter(|batch| batch.3 == first.3);
                let available: u64 = inside.map(|batch| batch.2).sum();
                match first_batch {
                    _ if first.2 <= max_bytes => Some((first.0, available.min(max_bytes))),
                    FirstBatch::Whole => Some((first.0, first.2)),
                    FirstBatch::Limited => None,
                }
            });
            let found = slice.map(|slice| {
                let mut header = [0; 61];
                slice.file.read_exact_at(&mut header, slice.position).expect("a batch");
                (record::BatchHeader::parse(&header).expect("a batch").base_offset.0, slice.len)
            });
            proptest::prop_assert_eq!(found, expected, "{}..{} of {}", from, up_to, max_bytes);
        }
    }
}
