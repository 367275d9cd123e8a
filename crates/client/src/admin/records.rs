//! Deleting the oldest records of partitions.

use std::collections::BTreeMap;

use model::Offset;
use wire::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::{ApiKey, DeleteRecordsRequest};

use crate::admin::Admin;
use crate::client::ANY;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::no_leader;
use crate::pool::Lane;

impl Admin {
    /// Deletes everything before an offset of each partition; says where each begins then.
    ///
    /// # Errors
    /// A partition is not there or its leader refuses; partitions before it may have lost their records by then.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let mut starts = BTreeMap::new();
        for (place, &offset) in before {
            let mut backoff = self.client.backoff();
            let start = loop {
                match self.delete_records_of(place, offset).await {
                    Ok(start) => break start,
                    Err(error) if error.is_retriable() => {
                        backoff.wait(self.client.rt(), error).await?;
                        // Should it fail, so will the next attempt, which counts.
                        let _ = self.client.refresh(Some(std::slice::from_ref(&place.topic))).await;
                    }
                    Err(error) => return Err(error),
                }
            };
            starts.insert(place.clone(), start);
        }
        Ok(starts)
    }

    async fn delete_records_of(&self, place: &TopicPartition, before: Offset) -> Result<Offset, Error> {
        let leader = self.client.partition(place).await?.leader.ok_or_else(|| no_leader(place))?;
        let connection = self.client.node(leader, Lane::SHARED).await?;
        let partition = DeleteRecordsPartition { partition_index: place.partition.0, offset: before.0 };
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: place.topic.to_string().into(),
                partitions: vec![partition],
            }],
            timeout_ms: self.timeout_ms(),
        };
        let answer = self.client.ask_on(&connection, &request, ANY).await?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let Some(deleted) = partitions.next() else {
            let problem = "it says nothing of what was asked";
            return Err(crate::connection::malformed(ApiKey::DeleteRecords, problem));
        };
        Error::check(ApiKey::DeleteRecords, deleted.error_code, None, place)?;
        Ok(Offset(deleted.low_watermark))
    }
}
