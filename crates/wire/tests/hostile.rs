//! Bytes that no well-meaning client sends: decoding them ends, in an error or a message, within bounded memory (W1, W2).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::model::{Message, Table};
use support::sample::{self, Random};

/// Memory of arrays a byte of input may cost. An empty compact string takes one byte in a frame and 24 in memory; arrays
/// in arrays add to that, but no table nests them in a way that comes near twice of it.
const MEMORY_PER_BYTE: usize = 40;

/// Decodes and checks what must hold whatever the bytes are.
fn check(message: &Message, bytes: &[u8], version: i16) -> bool {
    let name = &message.body.name;
    let (allocated, recoded) = support::recode_by_name(name, bytes, version);
    let limit = MEMORY_PER_BYTE * bytes.len();
    assert!(allocated <= limit, "{name} {version}: {allocated} bytes of memory for {bytes:02x?}");
    match recoded {
        Ok(recoded) => {
            assert!(recoded.left <= bytes.len(), "{name} {version}: left more than there was");
            let (_, again) = support::recode_by_name(name, &recoded.bytes, version);
            assert_eq!(again.unwrap().bytes, recoded.bytes, "{name} {version}: {bytes:02x?}");
        }
        Err(error) => {
            assert!(error.position <= bytes.len(), "{name} {version}: {error}");
            assert!(!error.to_string().is_empty());
            return false;
        }
    }
    true
}

fn for_each_sample(seed: u64, samples: usize, mut visit: impl FnMut(&Message, i16, Vec<u8>, &mut Random)) {
    let mut random = Random(seed);
    support::for_each_version(&support::tables(), |table: &Table, message: &Message, version: i16| {
        for _ in 0..samples {
            let bytes = sample::message(table, message, version, &mut random);
            visit(message, version, bytes, &mut random);
        }
    });
}

#[test]
fn a_truncated_message_is_an_error() {
    for_each_sample(1, 3, |message, version, bytes, _| {
        for length in 0..bytes.len() {
            let name = &message.body.name;
            assert!(!check(message, &bytes[..length], version), "{name} {version}: {length} of {bytes:02x?}");
        }
    });
}

#[test]
fn a_flipped_bit_is_an_error_or_another_message() {
    for_each_sample(2, 4, |message, version, mut bytes, random| {
        for _ in 0..40.min(bytes.len()) {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            check(message, &bytes, version);
            bytes[at] ^= 1 << bit;
        }
    });
}

#[test]
fn a_huge_count_costs_no_memory() {
    let counts: [&[u8]; 4] =
        [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x07", b"\x00\x00\xff\xff"];
    for_each_sample(3, 3, |message, version, bytes, random| {
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            let count = counts[random.below(counts.len())];
            let end = bytes.len().min(at + count.len());
            bytes.splice(at..end, count.iter().copied());
            check(message, &bytes, version);
        }
    });
}

#[test]
fn random_bytes_are_an_error_or_a_message() {
    for_each_sample(4, 40, |message, version, _, random| {
        let length = random.below(120);
        // Small numbers make more of the bytes look like counts that could be true.
        let small = random.one_in(2);
        let byte = |random: &mut Random| random.next().to_be_bytes()[0] & if small { 3 } else { 0xff };
        let bytes: Vec<u8> = (0..length).map(|_| byte(random)).collect();
        check(message, &bytes, version);
    });
}

#[test]
fn every_request_header_that_is_long_enough_has_a_correlation_id() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let key = i16::try_from(random.below(100)).unwrap() - 5;
        let version = i16::try_from(random.below(25)).unwrap() - 2;
        let mut bytes = [key.to_be_bytes(), version.to_be_bytes()].concat();
        bytes.extend(7i32.to_be_bytes());
        let known = wire::ApiKey::from_i16(key).is_some_and(|key| key.versions().contains(version));
        let mut reader = wire::Reader::new(&bytes);
        let header = wire::RequestHeader::read(&mut reader);
        assert_eq!(header.is_err(), known, "only a known request must have a client id");
        bytes.extend([0xff, 0xff, 0]);
        let mut reader = wire::Reader::new(&bytes);
        let header = wire::RequestHeader::read(&mut reader).unwrap();
        assert_eq!((header.request_api_key, header.request_api_version), (key, version));
        assert_eq!((header.correlation_id, header.client_id.as_ref()), (7, None));
        assert_eq!(header.api().is_some(), known);
    }
}

#[test]
fn a_version_outside_the_table_is_an_error() {
    for table in support::tables() {
        for message in &table.messages {
            let versions = message.body.versions;
            assert!(!check(message, &[0; 64], versions.first - 1));
            assert!(!check(message, &[0; 64], versions.last + 1));
        }
    }
}
