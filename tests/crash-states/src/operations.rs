//! What the log does to the disk, one operation each, on a log that did other things before.

use rt::sim::Sim;

use crate::stage::{Script, Stage};

/// An operation: brings a log to where it begins, begins to write down, and does it.
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    run: fn(&mut Stage<'_>),
}

/// All of them.
pub const ALL: [Operation; 14] = [
    Operation { name: "create", run: create },
    Operation { name: "append", run: append },
    Operation { name: "roll", run: roll },
    Operation { name: "index and snapshot", run: index_and_snapshot },
    Operation { name: "checkpoint", run: checkpoint },
    Operation { name: "leader epoch", run: leader_epoch },
    Operation { name: "transactions", run: transactions },
    Operation { name: "retention", run: retention },
    Operation { name: "delete records", run: delete_records },
    Operation { name: "truncate", run: truncate },
    Operation { name: "delete", run: delete },
    Operation { name: "close and recover", run: close_and_recover },
    Operation { name: "compact", run: compact },
    Operation { name: "recover a compaction", run: recover_a_compaction },
];

impl Operation {
    /// Does it in the world of `seed`.
    pub fn script(&self, seed: u64) -> Script {
        let sim = Sim::new(seed);
        let mut stage = Stage::new(&sim, seed);
        (self.run)(&mut stage);
        stage.script()
    }
}

/// A log with some segments, synced.
fn begin(stage: &mut Stage<'_>, batches: usize) {
    stage.start();
    stage.append(batches);
    stage.sync();
}

fn create(stage: &mut Stage<'_>) {
    stage.record();
    stage.start();
    stage.append(2);
    stage.sync();
}

fn append(stage: &mut Stage<'_>) {
    begin(stage, 1);
    stage.record();
    for _ in 0..2 {
        let batches = 1 + stage.below(2);
        stage.append(batches);
        stage.sync();
    }
    stage.append(2);
}

fn roll(stage: &mut Stage<'_>) {
    begin(stage, 4);
    stage.record();
    stage.append(6);
    stage.sync();
    stage.append(1);
    stage.sync();
}

fn index_and_snapshot(stage: &mut Stage<'_>) {
    begin(stage, 2);
    stage.append(2);
    stage.record();
    stage.rest();
    stage.sync();
    stage.sync();
    stage.append(1);
    stage.rest();
    stage.sync();
    stage.sync();
}

fn checkpoint(stage: &mut Stage<'_>) {
    begin(stage, 2);
    stage.checkpoint();
    stage.record();
    for _ in 0..3 {
        stage.append(1);
        stage.sync();
        stage.checkpoint();
    }
}

fn leader_epoch(stage: &mut Stage<'_>) {
    begin(stage, 2);
    stage.record();
    for _ in 0..2 {
        stage.begin_epoch();
        stage.append(1);
        stage.sync();
    }
}

fn transactions(stage: &mut Stage<'_>) {
    begin(stage, 1);
    stage.append_transactions(4);
    stage.sync();
    stage.record();
    for _ in 0..3 {
        // The second time around a segment is full, and its index of aborted transactions is closed with it.
        stage.append_transactions(5);
        stage.append(2);
        stage.sync();
    }
    stage.rest();
    stage.sync();
}

fn retention(stage: &mut Stage<'_>) {
    begin(stage, 16);
    stage.sync();
    stage.record();
    stage.retain(6_000);
    stage.append(1);
    stage.sync();
    stage.retain(0);
    stage.append(1);
    stage.sync();
}

fn delete_records(stage: &mut Stage<'_>) {
    begin(stage, 12);
    stage.checkpoint();
    stage.record();
    stage.delete_records();
    stage.append(1);
    stage.sync();
    stage.delete_records();
}

fn truncate(stage: &mut Stage<'_>) {
    begin(stage, 10);
    stage.checkpoint();
    stage.record();
    stage.truncate();
    stage.append(2);
    stage.sync();
    stage.truncate();
}

fn delete(stage: &mut Stage<'_>) {
    begin(stage, 8);
    stage.checkpoint();
    stage.record();
    stage.append(1);
    stage.delete();
}

fn close_and_recover(stage: &mut Stage<'_>) {
    begin(stage, 5);
    stage.append(3);
    stage.power_cut();
    stage.record();
    stage.start();
    stage.append(2);
    stage.close();
    stage.start();
    stage.append(1);
    stage.sync();
}

fn compact(stage: &mut Stage<'_>) {
    stage.start();
    stage.append_keyed(20);
    stage.sync();
    stage.record();
    stage.compact();
    stage.append_keyed(8);
    stage.sync();
    stage.compact();
    stage.append_keyed(1);
    stage.sync();
}

fn recover_a_compaction(stage: &mut Stage<'_>) {
    stage.start();
    stage.append_keyed(20);
    stage.sync();
    let calls = 1 + stage.below(60);
    stage.compact_until_power_cut(calls);
    stage.record();
    stage.start();
    stage.compact();
    stage.append_keyed(1);
    stage.sync();
}
