//! WriteTxnMarkers (27), versions 1-2: transactions end in partitions, as their coordinators or an operator decided.
//!
//! - All markers of a request are queued before the first is waited for; each partition has its own error.
//! - Answered when the markers are below their high watermarks, as with `acks=all`.
//! - Version 2 says which protocol the producer speaks; before, and with 0 and 1, several of its transactions may have
//!   one epoch.

use log::Marker;
use model::{
    CoordinatorEpoch, ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TransactionResult, TransactionVersion,
};
use wire::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use wire::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::call::Call;
use crate::error::PartitionError;
use crate::transactions::MarkerReply;

type Queued = Result<MarkerReply, PartitionError>;

pub async fn handle(
    call: &Call<'_>,
    request: WriteTxnMarkersRequest<'_>,
    _: i16,
) -> WriteTxnMarkersResponse<'static> {
    let mut queued = Vec::new();
    for marker in &request.markers {
        for topic in &marker.topics {
            for &index in &topic.partition_indexes {
                queued.push(call.node.append_marker(&topic.name, PartitionIndex(index), asked(marker)).await);
            }
        }
    }
    let mut queued = queued.into_iter();
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in &request.markers {
        let mut topics = Vec::with_capacity(marker.topics.len());
        for topic in &marker.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for (&partition_index, queued) in topic.partition_indexes.iter().zip(queued.by_ref()) {
                let error_code = written(queued).await.code();
                partitions.push(WritableTxnMarkerPartitionResult { partition_index, error_code });
            }
            topics.push(WritableTxnMarkerTopicResult { name: topic.name.to_string().into(), partitions });
        }
        markers.push(WritableTxnMarkerResult { producer_id: marker.producer_id, topics });
    }
    WriteTxnMarkersResponse { markers }
}

fn asked(marker: &WritableTxnMarker<'_>) -> Marker {
    Marker {
        producer: ProducerId(marker.producer_id),
        epoch: ProducerEpoch(marker.producer_epoch),
        coordinator_epoch: CoordinatorEpoch(marker.coordinator_epoch),
        result: if marker.transaction_result { TransactionResult::Commit } else { TransactionResult::Abort },
        version: if marker.transaction_version < 2 { TransactionVersion::Tv1 } else { TransactionVersion::Tv2 },
    }
}

async fn written(queued: Queued) -> ErrorCode {
    match queued {
        Err(error) => error.code(),
        Ok(queued) => queued.written().await,
    }
}
