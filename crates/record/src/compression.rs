//! The codecs of a batch's records: gzip, snappy, lz4 and zstd, always with a bound on what comes out.

use std::io::{self, Read, Write};

use crate::batch_error::BatchError;
use crate::xerial;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// As they are.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in xerial's stream framing.
    Snappy,
    /// The lz4 frame format, independent blocks of 64 KiB.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Kafka's default level for zstd; the other codecs run at their libraries' defaults, as there.
const ZSTD_LEVEL: i32 = 3;

/// Largest zstd window accepted, as a power of two: what the library itself accepts and what clients at
/// the highest level announce. The window is only touched as far as data is decoded.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

impl Compression {
    /// All of them, in the order of their numbers.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The number in a batch's attributes.
    pub fn id(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec of a number.
    pub fn from_id(id: i16) -> Result<Compression, BatchError> {
        match id {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            unknown => Err(BatchError::UnknownCompression(unknown)),
        }
    }

    /// The name, as the configuration key `compression.type` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Compresses the records of a batch; `None` is Kafka's default level, and codecs without levels have that only.
    pub(crate) fn compress(self, input: Vec<u8>, level: Option<i32>) -> io::Result<Vec<u8>> {
        match self {
            Compression::None => Ok(input),
            Compression::Gzip => {
                let level = level.and_then(|level| u32::try_from(level).ok());
                let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(&input)?;
                encoder.finish()
            }
            Compression::Snappy => xerial::compress(&input),
            Compression::Lz4 => {
                // Java's reader takes independent blocks only.
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&input)?;
                Ok(encoder.finish()?)
            }
            Compression::Zstd => zstd::stream::encode_all(&input[..], level.unwrap_or(ZSTD_LEVEL)),
        }
    }
}

/// Decompresses a stream, and fails with `FileTooLarge` once it has yielded more than its bound.
pub(crate) struct Decoder<'a> {
    codec: Codec<'a>,
    left: usize,
}

enum Codec<'a> {
    Plain(&'a [u8]),
    Gzip(flate2::read::MultiGzDecoder<&'a [u8]>),
    Snappy(xerial::Reader<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(zstd::stream::read::Decoder<'a, &'a [u8]>),
}

impl<'a> Decoder<'a> {
    /// Reads `input` as `compression`, up to `bytes_max` bytes.
    pub(crate) fn new(
        compression: Compression,
        input: &'a [u8],
        bytes_max: usize,
    ) -> io::Result<Decoder<'a>> {
        let codec = match compression {
            Compression::None => Codec::Plain(input),
            Compression::Gzip => Codec::Gzip(flate2::read::MultiGzDecoder::new(input)),
            Compression::Snappy => Codec::Snappy(xerial::Reader::new(input, bytes_max)),
            Compression::Lz4 => Codec::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Codec::Zstd(decoder)
            }
        };
        Ok(Decoder { codec, left: bytes_max })
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.codec {
            Codec::Plain(input) => input.read(out)?,
            Codec::Gzip(decoder) => decoder.read(out)?,
            Codec::Snappy(decoder) => decoder.read(out)?,
            Codec::Lz4(decoder) => decoder.read(out)?,
            Codec::Zstd(decoder) => decoder.read(out)?,
        };
        self.left = self.left.checked_sub(count).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}
