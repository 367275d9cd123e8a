//! The table of offsets.

use model::Offset;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sink::{Claim, Granted, Move};

use crate::fault::Failure;

/// Makes it. `epoch` begins with 1, and each owner of a partition raises it.
pub(crate) const CREATE: &str = "\
CREATE TABLE \"ottla_offsets\" (
  sink TEXT NOT NULL,
  topic TEXT NOT NULL,
  \"partition\" INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  cluster_id TEXT NOT NULL,
  topic_id TEXT NOT NULL,
  committed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  PRIMARY KEY (sink, topic, \"partition\")
)";

/// Takes a partition that somebody or nobody has: sink, topic, partition, begin, cluster id, topic id.
const CLAIM: &str = "\
INSERT INTO ottla_offsets (sink, topic, \"partition\", next_offset, epoch, cluster_id, topic_id)
VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)
ON CONFLICT (sink, topic, \"partition\") DO UPDATE SET epoch = epoch + 1
RETURNING epoch, next_offset, cluster_id, topic_id";

/// Takes a partition again that nobody took since: sink, topic, partition, epoch.
const RECLAIM: &str = "\
UPDATE ottla_offsets SET epoch = epoch + 1
WHERE sink = ?1 AND topic = ?2 AND \"partition\" = ?3 AND epoch = ?4
RETURNING epoch, next_offset, cluster_id, topic_id";

/// Moves an offset from where it is expected by who holds it: sink, topic, partition, epoch, expected, next.
const MOVE: &str = "\
UPDATE ottla_offsets SET next_offset = ?6, committed_at = strftime('%Y-%m-%dT%H:%M:%fZ')
WHERE sink = ?1 AND topic = ?2 AND \"partition\" = ?3 AND epoch = ?4 AND next_offset = ?5";

pub(crate) fn claim(
    transaction: &Transaction<'_>,
    sink: &str,
    claims: &[Claim],
) -> Result<Vec<Granted>, Failure> {
    let (mut take, mut retake) = (transaction.prepare(CLAIM)?, transaction.prepare(RECLAIM)?);
    let mut granted = Vec::new();
    for claim in claims {
        let (topic, partition) = (claim.place.topic.as_str(), claim.place.partition.0);
        let origin = &claim.origin;
        let grant = |row: &rusqlite::Row<'_>| {
            Ok(Granted {
                place: claim.place.clone(),
                epoch: row.get(0)?,
                next_offset: Offset(row.get(1)?),
                cluster_id: row.get(2)?,
                topic_id: row.get(3)?,
            })
        };
        let taken = match claim.held {
            Some(epoch) => retake.query_row(params![sink, topic, partition, epoch], grant).optional()?,
            None => {
                let begin = origin.begin.0;
                let row = params![sink, topic, partition, begin, origin.cluster_id, origin.topic_id];
                Some(take.query_row(row, grant)?)
            }
        };
        granted.extend(taken);
    }
    Ok(granted)
}

/// Whether all of them could be moved.
pub(crate) fn advance(transaction: &Transaction<'_>, sink: &str, moves: &[Move]) -> Result<bool, Failure> {
    let mut statement = transaction.prepare(MOVE)?;
    for moved in moves {
        let (topic, partition) = (moved.place.topic.as_str(), moved.place.partition.0);
        let row = params![sink, topic, partition, moved.epoch, moved.expected.0, moved.next.0];
        if statement.execute(row)? != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
