//! The table of offsets.

use model::Offset;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use sink::{Claim, Granted, Move};

use crate::fault::Failure;

/// Makes it. `epoch` begins with 1, and each owner of a partition raises it.
pub(crate) const CREATE: &str = "\
CREATE TABLE `ottla_offsets` (
  `sink` VARCHAR(255) NOT NULL,
  `topic` VARCHAR(255) NOT NULL,
  `partition` INT NOT NULL,
  `next_offset` BIGINT NOT NULL,
  `epoch` BIGINT NOT NULL,
  `cluster_id` VARCHAR(255) NOT NULL,
  `topic_id` VARCHAR(255) NOT NULL,
  `committed_at` DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`sink`, `topic`, `partition`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// Takes a partition that somebody or nobody has: sink, topic, partition, begin, cluster id, topic id.
const CLAIM: &str = "\
INSERT INTO `ottla_offsets` (`sink`, `topic`, `partition`, `next_offset`, `epoch`, `cluster_id`, `topic_id`)
VALUES (?, ?, ?, ?, 1, ?, ?) ON DUPLICATE KEY UPDATE `epoch` = `epoch` + 1";

/// Takes a partition again that nobody took since: sink, topic, partition, epoch.
const RECLAIM: &str = "\
UPDATE `ottla_offsets` SET `epoch` = `epoch` + 1
WHERE `sink` = ? AND `topic` = ? AND `partition` = ? AND `epoch` = ?";

/// What a partition stands at: sink, topic, partition. Its lock is ours already, unless it is not ours to take.
const READ: &str = "\
SELECT `epoch`, `next_offset`, `cluster_id`, `topic_id` FROM `ottla_offsets`
WHERE `sink` = ? AND `topic` = ? AND `partition` = ? FOR UPDATE";

/// Moves an offset from where it is expected by who holds it: next, sink, topic, partition, epoch, expected.
const MOVE: &str = "\
UPDATE `ottla_offsets` SET `next_offset` = ?, `committed_at` = CURRENT_TIMESTAMP(6)
WHERE `sink` = ? AND `topic` = ? AND `partition` = ? AND `epoch` = ? AND `next_offset` = ?";

pub(crate) async fn claim(conn: &mut Conn, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, Failure> {
    let mut granted = Vec::new();
    for claim in claims {
        let (topic, partition) = (claim.place.topic.as_str(), claim.place.partition.0);
        match claim.held {
            Some(epoch) => {
                conn.exec_drop(RECLAIM, (sink, topic, partition, epoch)).await?;
                if conn.affected_rows() != 1 {
                    continue;
                }
            }
            None => {
                let origin = &claim.origin;
                let ids = (&origin.cluster_id, &origin.topic_id);
                conn.exec_drop(CLAIM, (sink, topic, partition, origin.begin.0, ids.0, ids.1)).await?;
            }
        }
        let row: Option<(i64, i64, String, String)> = conn.exec_first(READ, (sink, topic, partition)).await?;
        granted.extend(row.map(|(epoch, next_offset, cluster_id, topic_id)| Granted {
            place: claim.place.clone(),
            epoch,
            next_offset: Offset(next_offset),
            cluster_id,
            topic_id,
        }));
    }
    Ok(granted)
}

/// Whether all of them could be moved.
pub(crate) async fn advance(conn: &mut Conn, sink: &str, moves: &[Move]) -> Result<bool, Failure> {
    for moved in moves {
        let (topic, partition) = (moved.place.topic.as_str(), moved.place.partition.0);
        let row = (moved.next.0, sink, topic, partition, moved.epoch, moved.expected.0);
        conn.exec_drop(MOVE, row).await?;
        if conn.affected_rows() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
