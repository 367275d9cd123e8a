//! Storing produced batches with the topic's codec (`compression.type` other than `producer`).
//!
//! - A batch that came with that codec stays as it is, whatever its level, as in Kafka.
//! - The codecs run off the workers; the batches of a connection are appended in order all the same, because the
//!   next is looked at only when this one is queued.
//! - What comes out is held to `max.message.bytes` again: records may take more room than they came in.

use config::TopicConfig;
use model::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use record::{BatchError, CheckedBatch, Compression};
use rt::Rt;

/// The codec a topic's batches are stored with, and its level; `None` where each keeps its producer's.
pub fn codec(config: &TopicConfig) -> Option<(Compression, Option<i32>)> {
    match config.compression {
        config::Compression::Producer => None,
        config::Compression::Uncompressed => Some((Compression::None, None)),
        config::Compression::Gzip => Some((Compression::Gzip, Some(config.compression_gzip_level))),
        config::Compression::Snappy => Some((Compression::Snappy, None)),
        // The codec has one level only.
        config::Compression::Lz4 => Some((Compression::Lz4, None)),
        config::Compression::Zstd => Some((Compression::Zstd, Some(config.compression_zstd_level))),
    }
}

/// The batch as its topic stores it.
pub async fn recompress(
    rt: &Rt,
    config: &TopicConfig,
    batch: CheckedBatch,
) -> Result<CheckedBatch, BatchError> {
    let Some((compression, level)) = codec(config) else { return Ok(batch) };
    if batch.header().compression()? == compression {
        return Ok(batch);
    }
    let recompress = move || batch.recompress(compression, level, DECOMPRESSED_BATCH_BYTES_MAX);
    let batch = rt.blocking(recompress).await?;
    let (size, max) = (batch.size_in_bytes(), config.max_message_bytes);
    if max < size { Err(BatchError::TooLarge { size, max }) } else { Ok(batch) }
}
