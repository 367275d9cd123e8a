//! Properties of records and image: round trips, replay, atomicity, hostile bytes; the rules of `apply`.

use std::sync::Arc;

use model::{
    BrokerId, ClusterId, LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicName, TopicPartition, Uuid,
};
use proptest::prelude::*;

use crate::*;

fn uuid(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn state(leader: i32, leader_epoch: i32, partition_epoch: i32) -> Partition {
    let replicas = vec![
        Replica { broker: BrokerId(leader), directory: uuid(9) },
        Replica { broker: BrokerId(leader + 1), directory: Uuid::ZERO },
    ];
    Partition {
        replicas,
        isr: vec![BrokerId(leader), BrokerId(leader + 1)],
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
    }
}

fn broker(id: i32, epoch: i64, incarnation: u8) -> MetadataRecord {
    MetadataRecord::BrokerRegistered(Broker {
        id: BrokerId(id),
        epoch: BrokerEpoch(epoch),
        incarnation: uuid(incarnation),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "a.example".into(), port: 9092 }],
        directories: vec![uuid(9)],
        rack: (id % 2 == 0).then(|| "r1".into()),
    })
}

fn topic(number: u8, name: &str) -> MetadataRecord {
    MetadataRecord::TopicCreated {
        topic_id: TopicId(uuid(number)),
        name: TopicName::parse(name).unwrap(),
        replication_factor: ReplicationFactor::Automatic,
    }
}

fn partition(topic: u8, index: i32) -> TopicPartition {
    TopicPartition { topic_id: TopicId(uuid(topic)), partition: PartitionIndex(index) }
}

fn created(topic: u8, index: i32, state: Partition) -> MetadataRecord {
    MetadataRecord::PartitionCreated {
        topic_id: TopicId(uuid(topic)),
        partition: PartitionIndex(index),
        state,
    }
}

fn changed(topic: u8, index: i32, state: Partition) -> MetadataRecord {
    MetadataRecord::PartitionChanged {
        topic_id: TopicId(uuid(topic)),
        partition: PartitionIndex(index),
        state,
    }
}

fn config(name: &str, key: &str, value: &str) -> MetadataRecord {
    let resource = ConfigResource { kind: ConfigResourceKind::Topic, name: name.into() };
    MetadataRecord::ConfigSet { resource, key: key.into(), value: value.into() }
}

fn apply(image: &mut Image, records: &[MetadataRecord]) -> Result<Vec<Change>, ApplyError> {
    image.apply_entry(image.next_index(), records)
}

/// Records over few brokers, topics and keys, so that many fit the image and many do not.
fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let name = prop::sample::select(vec!["a", "b.c", "b_c", "orders", "__consumer_offsets"]);
    let resource = (0usize..4, name.clone()).prop_map(|(kind, name)| ConfigResource {
        kind: [
            ConfigResourceKind::Topic,
            ConfigResourceKind::Broker,
            ConfigResourceKind::ClientMetrics,
            ConfigResourceKind::Group,
        ][kind],
        name: name.to_owned(),
    });
    let key = prop::sample::select(vec!["retention.ms", "cleanup.policy"]);
    prop_oneof![
        1 => any::<u8>().prop_map(|id| MetadataRecord::ClusterCreated { cluster_id: ClusterId(uuid(id)) }),
        2 => (0i32..3, 0i64..20, 0u8..4).prop_map(|(id, epoch, incarnation)| broker(id, epoch, incarnation)),
        4 => (0u8..4, name).prop_map(|(number, name)| topic(number, name)),
        8 => (0u8..4, 0i32..4, 0i32..3).prop_map(|(t, p, leader)| created(t, p, state(leader, 0, 0))),
        4 => (0u8..4, 0i32..4, 0i32..3, 0i32..3, 0i32..3)
            .prop_map(|(t, p, leader, le, pe)| changed(t, p, state(leader, le, pe))),
        1 => (0u8..4).prop_map(|number| MetadataRecord::TopicDeleted { topic_id: TopicId(uuid(number)) }),
        3 => (resource.clone(), key.clone(), "[a-z]{0,5}").prop_map(|(resource, key, value)| {
            MetadataRecord::ConfigSet { resource, key: key.to_owned(), value }
        }),
        2 => (resource, key)
            .prop_map(|(resource, key)| MetadataRecord::ConfigRemoved { resource, key: key.to_owned() }),
        1 => any::<i32>().prop_map(|next| MetadataRecord::ProducerIdsAllocated {
            broker_id: BrokerId(0),
            broker_epoch: BrokerEpoch(-1),
            next: ProducerId(i64::from(next)),
        }),
        1 => any::<i16>().prop_map(|level| MetadataRecord::FeatureLevelSet {
            feature: "transaction.version".to_owned(),
            level,
        }),
    ]
}

fn image_of(records: &[MetadataRecord]) -> Image {
    let mut image = Image::empty();
    for record in records {
        // What does not fit is refused whole, so any list of records makes some image.
        let before = image.clone();
        if apply(&mut image, std::slice::from_ref(record)).is_err() {
            assert_eq!(image, before);
        }
    }
    image
}

proptest! {
    #[test]
    fn records_round_trip(records in prop::collection::vec(any_record(), 0..20)) {
        let mut bytes = Vec::new();
        encode_records(&records, &mut bytes);
        prop_assert_eq!(decode_records(&bytes), Ok(records));
    }

    #[test]
    fn hostile_bytes_are_refused_or_mean_what_they_encode(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(records) = decode_records(&bytes) {
            let mut again = Vec::new();
            encode_records(&records, &mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn damaged_records_are_refused_or_mean_what_they_encode(
        record in any_record(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = with;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(record) = MetadataRecord::decode(&bytes) {
            let mut again = Vec::new();
            record.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn a_snapshot_replays_to_an_equal_image(records in prop::collection::vec(any_record(), 0..120)) {
        let image = image_of(&records);
        let restored = Image::restore(image.next_index(), image.hash(), &image.to_records());
        prop_assert_eq!(restored, Ok(image));
    }

    #[test]
    fn the_same_records_give_the_same_image_and_hash(records in prop::collection::vec(any_record(), 1..60)) {
        let (one, two) = (image_of(&records), image_of(&records));
        prop_assert_eq!(one.hash(), two.hash());
        prop_assert_eq!(&one, &two);
        let mut other = one.clone();
        let resource = ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() };
        let set = MetadataRecord::ConfigSet { resource, key: "k".into(), value: "v".into() };
        prop_assert!(apply(&mut other, &[set]).is_ok());
        prop_assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn an_entry_applies_whole_or_not_at_all(
        records in prop::collection::vec(any_record(), 0..40),
        entry in prop::collection::vec(any_record(), 0..6),
    ) {
        let mut image = image_of(&records);
        let before = image.clone();
        let mut copy = before.clone();
        match apply(&mut image, &entry) {
            Ok(_) => for record in &entry {
                prop_assert!(copy.apply_entry(copy.next_index(), std::slice::from_ref(record)).is_ok());
            },
            Err(_) => prop_assert_eq!(&image, &before),
        }
        prop_assert_eq!(image.hash(), copy.hash());
    }
}

#[test]
fn a_new_incarnation_leads_in_new_epochs() {
    let mut image = Image::empty();
    let records = [
        broker(1, 1, 1),
        topic(1, "orders"),
        created(1, 0, state(1, 4, 7)),
        created(1, 1, state(2, 4, 7)),
        created(1, 2, state(1, 0, 0)),
    ];
    apply(&mut image, &records).unwrap();

    // The same process registers once more, say with another address: nobody led meanwhile.
    assert_eq!(apply(&mut image, &[broker(1, 2, 1)]), Ok(vec![Change::BrokerRegistered(BrokerId(1))]));

    // The process restarted: D1.
    assert_eq!(
        apply(&mut image, &[broker(1, 3, 2)]),
        Ok(vec![
            Change::BrokerRegistered(BrokerId(1)),
            Change::PartitionChanged(partition(1, 0)),
            Change::PartitionChanged(partition(1, 2)),
        ])
    );
    let epochs = |index| {
        let state = image.partition(partition(1, index)).unwrap();
        (state.leader_epoch.0, state.partition_epoch.0)
    };
    assert_eq!([epochs(0), epochs(1), epochs(2)], [(5, 8), (4, 7), (1, 1)]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut image = Image::empty();
    let cluster = |id| MetadataRecord::ClusterCreated { cluster_id: ClusterId(uuid(id)) };
    let records = [
        cluster(1),
        broker(1, 5, 1),
        topic(1, "a.b"),
        created(1, 0, state(1, 3, 3)),
        config("a.b", "k", "v"),
    ];
    apply(&mut image, &records).unwrap();
    let name = TopicName::parse("a.b").unwrap();
    let alien_leader = Partition { leader: BrokerId(7), ..state(1, 3, 4) };
    let twice = Partition { replicas: vec![state(1, 0, 0).replicas[0]; 2], ..state(1, 3, 4) };
    for (record, error) in [
        (cluster(2), ApplyError::ClusterExists(ClusterId(uuid(1)))),
        (broker(1, 5, 2), ApplyError::StaleBrokerEpoch { broker: BrokerId(1), current: BrokerEpoch(5) }),
        (topic(2, "a_b"), ApplyError::TopicNameTaken(name)),
        (topic(1, "c"), ApplyError::TopicIdExists(TopicId(uuid(1)))),
        (created(2, 0, state(1, 0, 0)), ApplyError::UnknownTopic(TopicId(uuid(2)))),
        (
            created(1, 2, state(1, 0, 0)),
            ApplyError::PartitionNotNext { partition: partition(1, 2), expected: 1 },
        ),
        (changed(1, 1, state(1, 0, 0)), ApplyError::UnknownPartition(partition(1, 1))),
        (
            changed(1, 0, state(1, 3, 5)),
            ApplyError::StalePartitionEpoch { partition: partition(1, 0), current: PartitionEpoch(3) },
        ),
        (
            changed(1, 0, state(1, 2, 4)),
            ApplyError::StalePartitionEpoch { partition: partition(1, 0), current: PartitionEpoch(3) },
        ),
        (changed(1, 0, alien_leader), ApplyError::InconsistentReplicas(partition(1, 0))),
        (changed(1, 0, twice), ApplyError::InconsistentReplicas(partition(1, 0))),
        (config("a_b", "k", "v"), ApplyError::UnknownTopicName("a_b".into())),
        (
            MetadataRecord::TopicDeleted { topic_id: TopicId(uuid(3)) },
            ApplyError::UnknownTopic(TopicId(uuid(3))),
        ),
    ] {
        assert_eq!(apply(&mut image, std::slice::from_ref(&record)), Err(error), "{record:?}");
    }
    assert_eq!(
        image.apply_entry(Index(0), &[]),
        Err(ApplyError::WrongIndex { expected: Index(1), got: Index(0) })
    );
}

#[test]
fn a_deleted_topic_takes_its_configuration_along() {
    let mut image = Image::empty();
    apply(&mut image, &[topic(1, "a.b"), created(1, 0, state(1, 0, 0)), config("a.b", "k", "v")]).unwrap();
    let was = Arc::clone(image.topic_named("a.b").unwrap());
    assert!(image.topic_named("a_b").is_none());
    assert_eq!(image.topic_colliding_with("a_b"), Some(&was));
    let deleted = MetadataRecord::TopicDeleted { topic_id: was.id };
    assert_eq!(apply(&mut image, &[deleted]), Ok(vec![Change::TopicDeleted(was)]));
    assert_eq!((image.topic_count(), image.configs().count(), image.topics().count()), (0, 0, 0));
    assert_eq!(apply(&mut image, &[topic(2, "a_b")]), Ok(vec![Change::TopicCreated(TopicId(uuid(2)))]));
}

#[test]
fn what_a_newer_version_wrote_is_refused_by_name() {
    let mut bytes = Vec::new();
    topic(1, "a").encode(&mut bytes);
    let decode = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        MetadataRecord::decode(&bytes)
    };
    assert_eq!(decode(0, 200), Err(DecodeError::UnknownRecordType(200)));
    assert_eq!(decode(0, 0), Err(DecodeError::UnknownRecordType(0)));
    assert_eq!(decode(1, 1), Err(DecodeError::UnknownRecordVersion { record_type: 3, version: 1 }));
    bytes.push(0);
    assert_eq!(MetadataRecord::decode(&bytes), Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn bytes_and_running_hash_never_change() {
    // Frozen: folders written by every earlier version hold these.
    let mut bytes = Vec::new();
    created(7, 300, state(1, 2, 3)).encode(&mut bytes);
    let mut expected = vec![4, 0];
    expected.extend([7; 16]);
    expected.extend([0xd8, 0x04, 2, 2]);
    expected.extend([9; 16]);
    expected.push(4);
    expected.extend([0; 16]);
    expected.extend([2, 2, 4, 2, 4, 6]);
    assert_eq!(bytes, expected);
    let mut image = Image::empty();
    apply(&mut image, &[topic(7, "frozen")]).unwrap();
    assert_eq!(format!("{:?}", image.hash()), "6fa6306f0cccd6d1");
}

#[test]
fn readers_keep_their_image_while_a_hundred_thousand_partitions_change() {
    let mut image = Image::empty();
    let mut records = vec![broker(1, 1, 1), topic(1, "wide")];
    records.extend((0..100_000).map(|index| created(1, index, state(1, 0, 0))));
    apply(&mut image, &records).unwrap();
    let before = image.clone();
    for index in 0..200 {
        apply(&mut image, &[changed(1, index, state(1, 1, 1))]).unwrap();
    }
    let epoch = |image: &Image| image.partition(partition(1, 0)).unwrap().leader_epoch;
    assert_eq!((epoch(&before), epoch(&image)), (LeaderEpoch(0), LeaderEpoch(1)));
    assert_eq!(image.topic_named("wide").unwrap().partition_count(), 100_000);
}

#[test]
fn a_number_has_one_encoding() {
    let mut bytes = vec![9, 0, 2, 0, 2];
    let decode = |bytes: &[u8]| MetadataRecord::decode(bytes);
    assert!(decode(&bytes).is_ok());
    bytes[4] = 0x82;
    bytes.push(0);
    assert_eq!(decode(&bytes), Err(DecodeError::BadNumber("next producer id")));
}
