//! The table of offsets: whose a partition is, and how far it came.

use model::Offset;
use sink::{Batch, Claim, Granted};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement, Transaction};

use crate::sql;

/// Takes partitions: those that were held only if nobody else took them since, the others whoever has them.
pub(crate) async fn take(
    transaction: &Transaction<'_>,
    sink: &str,
    claims: &[Claim],
) -> Result<Vec<Row>, Error> {
    let (held, new): (Vec<_>, Vec<_>) = claims.iter().partition(|claim| claim.held.is_some());
    let mut taken = Vec::new();
    if !held.is_empty() {
        let (topics, partitions) = places(&held);
        let epochs: Vec<i64> = held.iter().filter_map(|claim| claim.held).collect();
        taken.extend(transaction.query(sql::RECLAIM, &[&sink, &topics, &partitions, &epochs]).await?);
    }
    if !new.is_empty() {
        let (topics, partitions) = places(&new);
        let begins: Vec<i64> = new.iter().map(|claim| claim.origin.begin.0).collect();
        let clusters: Vec<&str> = new.iter().map(|claim| claim.origin.cluster_id.as_str()).collect();
        let ids: Vec<&str> = new.iter().map(|claim| claim.origin.topic_id.as_str()).collect();
        let values: [&(dyn ToSql + Sync); 6] = [&sink, &topics, &partitions, &begins, &clusters, &ids];
        taken.extend(transaction.query(sql::CLAIM, &values).await?);
    }
    Ok(taken)
}

/// The topics and the partitions, an array each.
fn places<'a>(claims: &[&'a Claim]) -> (Vec<&'a str>, Vec<i32>) {
    claims.iter().map(|claim| (claim.place.topic.as_str(), claim.place.partition.0)).unzip()
}

pub(crate) fn grant(claim: &Claim, row: &Row) -> Granted {
    Granted {
        place: claim.place.clone(),
        epoch: row.get(2),
        next_offset: Offset(row.get(3)),
        cluster_id: row.get(4),
        topic_id: row.get(5),
    }
}

/// Moves offsets; says how many stood where they were expected.
pub(crate) async fn advance(
    transaction: &Transaction<'_>,
    statement: &Statement,
    sink: &str,
    batch: &Batch,
) -> Result<usize, Error> {
    let moves = &batch.moves;
    let topics: Vec<&str> = moves.iter().map(|moved| moved.place.topic.as_str()).collect();
    let partitions: Vec<i32> = moves.iter().map(|moved| moved.place.partition.0).collect();
    let epochs: Vec<i64> = moves.iter().map(|moved| moved.epoch).collect();
    let expected: Vec<i64> = moves.iter().map(|moved| moved.expected.0).collect();
    let next: Vec<i64> = moves.iter().map(|moved| moved.next.0).collect();
    let moved =
        transaction.execute(statement, &[&sink, &topics, &partitions, &epochs, &expected, &next]).await?;
    Ok(usize::try_from(moved).unwrap_or(usize::MAX))
}
