"""kafka-python: every codec through a group that resumes where it committed, seeking by time, and administration."""

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import OffsetOutOfRangeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata
from support.cluster import KEEP, PATIENCE, bootstrap, create_topic, eventually, unique

COUNT = 300


@pytest.fixture
def consumer():
    """Starts a consumer: `consumer(*topics, **config)`; closed when the test ends."""
    started: list[KafkaConsumer] = []

    def start(*topics: str, **config) -> KafkaConsumer:
        config = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100, **config}
        started.append(KafkaConsumer(*topics, bootstrap_servers=bootstrap(), **config))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture
def admin():
    with KafkaAdminClient(bootstrap_servers=bootstrap()) as client:
        yield client


def produce(topic: str, messages: list[dict], **config) -> list:
    """Sends arguments of `KafkaProducer.send` and returns what the broker answered."""
    with KafkaProducer(bootstrap_servers=bootstrap(), **config) as producer:
        sent = [producer.send(topic, **message) for message in messages]
        producer.flush(PATIENCE)
        return [future.get(PATIENCE) for future in sent]


def take(consumer: KafkaConsumer, count: int) -> list:
    taken: list = []

    def enough() -> bool:
        for records in consumer.poll(100).values():
            taken.extend(records)
        return len(taken) >= count

    eventually(enough, lambda: f"{count} messages, got {len(taken)}")
    return taken


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_in_a_group_that_resumes_where_it_committed(consumer, codec):
    topic, group = create_topic(1), unique("kafka-python")
    sent = [(b"%d" % (i % 7), b"value %d " % i * 20) for i in range(COUNT)]
    answers = produce(topic, [{"key": k, "value": v} for k, v in sent], compression_type=codec, linger_ms=20)
    assert [answer.offset for answer in answers] == list(range(COUNT))
    first = consumer(topic, group_id=group)
    assert [(record.key, record.value) for record in take(first, COUNT)] == sent
    first.commit({TopicPartition(topic, 0): OffsetAndMetadata(COUNT - 10, "ten are left", -1)})
    first.close()
    second = consumer(topic, group_id=group)
    assert [record.offset for record in take(second, 10)] == list(range(COUNT - 10, COUNT))
    assert second.committed(TopicPartition(topic, 0), metadata=True).metadata == "ten are left"


def test_seeking_by_time(consumer):
    topic = create_topic(1, config=KEEP)
    for timestamp in (1000, 2000, 3000):
        produce(topic, [{"value": b"%d" % timestamp, "timestamp_ms": timestamp}])
    reader, partition = consumer(), TopicPartition(topic, 0)
    reader.assign([partition])
    assert (reader.beginning_offsets([partition]), reader.end_offsets([partition])) == ({partition: 0}, {partition: 3})
    found = reader.offsets_for_times({partition: 1001})[partition]
    assert (found.offset, found.timestamp) == (1, 2000)
    assert reader.offsets_for_times({partition: 3001})[partition] is None
    reader.seek(partition, found.offset)
    assert [record.value for record in take(reader, 2)] == [b"2000", b"3000"]


def test_an_idempotent_producer_keeps_the_order(consumer):
    topic = create_topic(1)
    produce(topic, [{"value": b"%d" % i} for i in range(COUNT)], enable_idempotence=True, batch_size=100)
    reader = consumer()
    reader.assign([TopicPartition(topic, 0)])
    assert [(record.offset, record.value) for record in take(reader, COUNT)] == [(i, b"%d" % i) for i in range(COUNT)]


def test_a_topic_is_created_described_grown_trimmed_and_deleted(admin):
    topic = unique("kafka-python")
    admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
    assert topic in admin.list_topics()

    def partitions() -> list:
        [described] = admin.describe_topics([topic])
        return sorted(partition["partition_index"] for partition in described["partitions"])

    assert partitions() == [0, 1]
    admin.create_partitions({topic: 5})
    eventually(lambda: partitions() == [0, 1, 2, 3, 4], partitions)

    produce(topic, [{"partition": 0, "value": b"v"}] * 10)
    partition = TopicPartition(topic, 0)
    assert admin.delete_records({partition: 4})[partition]["low_watermark"] == 4
    with pytest.raises(OffsetOutOfRangeError):
        admin.delete_records({partition: 100})
    offsets = [admin.list_partition_offsets({partition: spec})[partition].offset for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)]
    assert offsets == [4, 10]

    admin.delete_topics([topic])
    eventually(lambda: topic not in admin.list_topics(), "the topic is gone")
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics([topic])


def test_the_configuration_of_a_topic_is_altered_and_reset(admin):
    topic = create_topic(1)

    def resource(**configs) -> ConfigResource:
        return ConfigResource(ConfigResourceType.TOPIC, topic, configs or None)

    def modified() -> dict:
        return {key: entry["value"] for key, entry in admin.describe_configs([resource()])["topic"][topic].items()}

    assert modified() == {}
    admin.alter_configs([resource(**{"retention.ms": "123456", "cleanup.policy": "compact"})])
    eventually(lambda: modified() == {"retention.ms": "123456", "cleanup.policy": "compact"}, lambda: str(modified()))
    assert "InvalidConfigurationError" in admin.alter_configs([resource(**{"retention.ms": "soon"})])["topic"][topic]
    admin.reset_configs([resource(**{"retention.ms": None})])
    eventually(lambda: modified() == {"cleanup.policy": "compact"}, lambda: str(modified()))


def test_groups_are_listed_described_reset_and_deleted(admin, consumer):
    topic, group = create_topic(2), unique("kafka-python")
    produce(topic, [{"partition": i % 2, "value": b"v"} for i in range(8)])
    member = consumer(topic, group_id=group, client_id="the-client")
    take(member, 8)
    member.commit()
    assert group in [listed["group_id"] for listed in admin.list_groups()]
    described = admin.describe_groups([group])[group]
    assert (described["group_state"], [m["client_id"] for m in described["members"]]) == ("Stable", ["the-client"])
    assert admin.delete_groups([group]) == {group: "NonEmptyGroupError"}
    member.close()
    assert admin.describe_groups([group])[group]["group_state"] == "Empty"

    def committed() -> dict:
        return {p.partition: position.offset for p, position in admin.list_group_offsets({group: None})[group].items()}

    assert committed() == {0: 4, 1: 4}
    admin.alter_group_offsets(group, {TopicPartition(topic, 0): OffsetAndMetadata(1, "", -1)})
    assert committed() == {0: 1, 1: 4}
    admin.delete_group_offsets(group, [TopicPartition(topic, 1)])
    assert committed() == {0: 1}
    assert admin.delete_groups([group]) == {group: "OK"}
    assert group not in [listed["group_id"] for listed in admin.list_groups()]
