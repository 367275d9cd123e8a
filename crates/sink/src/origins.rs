//! What the cluster says of partitions that are to be claimed.

use std::collections::{BTreeMap, BTreeSet};

use client::{Client, Isolation, OffsetQuery, TopicPartition};

use crate::definition::Begin;
use crate::target::Origin;

/// Where each partition begins, in which topic; a partition whose topic is not there is not in the answer.
pub(crate) async fn origins(
    client: &Client,
    begin: Begin,
    places: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Origin>, client::Error> {
    let topics: Vec<_> =
        places.iter().map(|place| place.topic.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let snapshot = client.refresh(Some(&topics)).await?;
    let places = places.iter().filter(|place| snapshot.topics.contains_key(&place.topic));
    let of = |query: OffsetQuery| places.clone().map(|place| (place.clone(), query)).collect();
    let isolation = Isolation::ReadCommitted;
    let starts = client.list_offsets_as(isolation, &of(OffsetQuery::Earliest)).await?;
    let begins = match begin {
        Begin::Earliest => starts.clone(),
        Begin::Latest => client.list_offsets_as(isolation, &of(OffsetQuery::Latest)).await?,
    };
    let origin = |place: &TopicPartition| {
        let (begin, log_start) = (begins.get(place).copied()??, starts.get(place).copied()??);
        let topic_id = snapshot.topics.get(&place.topic)?.id.to_string();
        let cluster_id = snapshot.cluster_id.clone().unwrap_or_default();
        Some((place.clone(), Origin { cluster_id, topic_id, begin, log_start }))
    };
    Ok(places.clone().filter_map(origin).collect())
}
