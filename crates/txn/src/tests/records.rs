//! Records as Apache Kafka 4.3.1 writes them, and those that nobody does.

use model::{PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion};

use wire::RecordError;

use crate::{Partitions, Record, State, Stored, TransactionalId, VersionLevel};

fn stored() -> Stored {
    let indexes = [PartitionIndex(0), PartitionIndex(2)].into();
    Stored {
        producer_id: ProducerId(7),
        previous_producer_id: ProducerId(7),
        next_producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(3),
        timeout_ms: 60_000,
        state: State::Ongoing,
        partitions: Partitions::from([(TopicName::parse("orders").unwrap(), indexes)]),
        started_at_ms: Some(1_700_000_000_000),
        updated_at_ms: 1_700_000_000_001,
        version: TransactionVersion::Tv2,
    }
}

fn record(value: Option<Stored>) -> Record {
    Record { transactional_id: TransactionalId::from("copier"), value }
}

#[test]
fn every_state_is_read_as_it_was_written() {
    for state in State::ALL {
        let partitions = if state == State::Empty { Partitions::new() } else { stored().partitions };
        let record = record(Some(Stored { state, partitions, ..stored() }));
        let encoded = record.encode(VersionLevel::Tv2);
        let decoded = Record::decode(&encoded.key, encoded.value.as_deref());
        assert_eq!(decoded, Ok(Some(record)));
    }
    let tombstone = record(None).encode(VersionLevel::Tv2);
    assert_eq!(Record::decode(&tombstone.key, tombstone.value.as_deref()), Ok(Some(record(None))));
}

#[test]
fn the_level_before_transactions_had_a_version_has_records_of_its_own() {
    let all = Stored { previous_producer_id: ProducerId(3), next_producer_id: ProducerId(5), ..stored() };
    let less = Stored {
        version: TransactionVersion::Tv1,
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        ..stored()
    };
    let levels = [
        (VersionLevel::Tv0, 0, less),
        (VersionLevel::Tv1, 1, all.clone()),
        (VersionLevel::Tv2, 1, all.clone()),
    ];
    for (level, version, kept) in levels {
        let encoded = record(Some(all.clone())).encode(level);
        assert_eq!(encoded.value.as_ref().unwrap()[..2], [0, version], "{level:?}");
        let read = Record::decode(&encoded.key, encoded.value.as_deref());
        assert_eq!(read, Ok(Some(record(Some(kept)))), "{level:?}");
    }
}

#[test]
fn what_is_no_record_is_said_to_be_none() {
    let encoded = record(Some(stored())).encode(VersionLevel::Tv2);
    assert_eq!(Record::decode(&[0, 9, 1], None), Ok(None), "another type is passed over");
    assert!(Record::decode(&encoded.key, Some(&[0])).is_err(), "too short for a version");
    let mut value = encoded.value.unwrap();
    value[16] = 9; // After version (2), producer id (8), epoch (2) and timeout (4): the state.
    assert_eq!(Record::decode(&encoded.key, Some(&value)), Err(RecordError::BadState(9)));
    assert!(Record::decode(&encoded.key, Some(&value[..12])).is_err());
}
