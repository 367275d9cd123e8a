//! Power cuts under load: what was acknowledged is there, and a world that lies is found out.

use history::Anomaly;
use sim_tests::scenario::{self, Lie, Scenario};
use sim_tests::seeds::seeds;

/// A seed that failed: a producer gave a record up since the broker went when it was asked about the topic.
const FAILED_ONCE: [u64; 1] = [19];

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let (mut cuts, mut acknowledged, mut read) = (0, 0, 0);
    for seed in seeds(6).chain(FAILED_ONCE) {
        let report = scenario::run(seed, Scenario { cuts: 4, lie: Lie::None });
        assert!(5 <= report.cuts, "seed {seed}: 4 under load and one at its end");
        assert_eq!(report.anomalies, [], "seed {seed}");
        assert_eq!(report.disagreements, Vec::<String>::new(), "seed {seed}");
        assert_eq!(report.given_up, Vec::<String>::new(), "seed {seed}");
        cuts += report.cuts;
        acknowledged += report.acknowledged;
        read += report.read;
    }
    println!("{cuts} power cuts, {acknowledged} records acknowledged, {read} read by the group");
}

fn losses_under(lie: Lie) -> usize {
    let is_loss = |anomaly: &&Anomaly| matches!(anomaly, Anomaly::LostWrite(..));
    let losses = |seed| {
        let report = scenario::run(seed, Scenario { cuts: 0, lie });
        report.anomalies.iter().filter(is_loss).count()
    };
    // One cut may spare everything that was not synced.
    (1..=3).map(losses).sum()
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    assert_ne!(losses_under(Lie::SyncIsNoop), 0);
}

#[test]
fn answers_before_the_sync_are_found_out() {
    assert_ne!(losses_under(Lie::AnswersBeforeSync), 0);
}
