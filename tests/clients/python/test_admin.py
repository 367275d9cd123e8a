"""Administration with confluent-kafka: topics, their configuration, positions, and what a broker refuses."""

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType
from support.cluster import KEEP, PATIENCE, admin, bootstrap, create_topic, eventually, produce_all, read_assigned, unique


def refusal(future) -> int:
    with pytest.raises(KafkaException) as refused:
        future.result(PATIENCE)
    return refused.value.args[0].code()


def test_a_topic_is_created_listed_described_grown_and_deleted():
    client, topic = admin(), create_topic(2)
    listed = client.list_topics(timeout=10).topics[topic]
    assert sorted(listed.partitions) == [0, 1]
    assert all(p.leader >= 0 and p.leader in p.isrs and p.replicas == p.isrs for p in listed.partitions.values())
    assert refusal(client.create_topics([NewTopic(topic, 1)])[topic]) == KafkaError.TOPIC_ALREADY_EXISTS
    client.create_partitions([NewPartitions(topic, 5)])[topic].result(PATIENCE)
    eventually(lambda: len(client.list_topics(timeout=10).topics[topic].partitions) == 5, "five partitions")
    assert refusal(client.create_partitions([NewPartitions(topic, 3)])[topic]) == KafkaError.INVALID_PARTITIONS
    client.delete_topics([topic])[topic].result(PATIENCE)
    eventually(lambda: topic not in client.list_topics(timeout=10).topics, "the topic is gone")
    assert refusal(client.delete_topics([topic])[topic]) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_deleted_topic_can_be_created_again_at_once_and_begins_empty():
    client, topic = admin(), create_topic(2)
    produce_all([{"partition": 1, "value": b"old"}] * 10, topic)
    for _ in range(3):
        client.delete_topics([topic])[topic].result(PATIENCE)
        client.create_topics([NewTopic(topic, 2)])[topic].result(PATIENCE)
    # A new producer: what it writes begins at zero again.
    [report] = produce_all([{"partition": 1, "value": b"new"}], topic)
    assert report.offset() == 0
    assert [m.value() for m in read_assigned(topic, 2, 1)] == [b"new"]


@pytest.mark.parametrize(
    ("name", "partitions", "replicas", "config", "expected"),
    [
        ("no spaces allowed", 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("a" * 250, 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("..", 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("too-many-replicas", 1, 7, {}, KafkaError.INVALID_REPLICATION_FACTOR),
        ("unknown-key", 1, 1, {"no.such.key": "1"}, KafkaError.INVALID_CONFIG),
        ("bad-value", 1, 1, {"retention.ms": "soon"}, KafkaError.INVALID_CONFIG),
    ],
)
def test_an_impossible_topic_is_refused(name, partitions, replicas, config, expected):
    client = admin()
    assert refusal(client.create_topics([NewTopic(name, partitions, replicas, config=config)])[name]) == expected


def test_validate_only_creates_nothing():
    client, topic = admin(), unique("validated")
    client.create_topics([NewTopic(topic, 1)], validate_only=True)[topic].result(PATIENCE)
    assert topic not in client.list_topics(timeout=10).topics


def test_the_configuration_of_a_topic_is_described_and_changed():
    client, topic = admin(), create_topic(1, config={"retention.ms": "1000000"})
    resource = ConfigResource(ResourceType.TOPIC, topic)

    def config() -> dict[str, ConfigEntry]:
        return client.describe_configs([resource])[resource].result(PATIENCE)

    before = config()
    assert (before["retention.ms"].value, before["retention.ms"].is_default) == ("1000000", False)
    assert (before["cleanup.policy"].value, before["cleanup.policy"].is_default) == ("delete", True)
    change = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
            ConfigEntry("segment.bytes", "2000000", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
        ],
    )
    client.incremental_alter_configs([change])[change].result(PATIENCE)
    eventually(lambda: config()["segment.bytes"].value == "2000000", "the change is seen")
    after = config()
    assert (after["retention.ms"].value, after["retention.ms"].is_default) == ("604800000", True)
    assert after["cleanup.policy"].value == "delete,compact"


def test_the_broker_describes_its_configuration():
    client = admin()
    [broker] = client.list_topics(timeout=10).brokers
    resource = ConfigResource(ResourceType.BROKER, str(broker))
    config = client.describe_configs([resource])[resource].result(PATIENCE)
    assert config["node.id"].value == str(broker)
    assert "log.retention.ms" in config


def test_offsets_are_found_by_position_and_by_timestamp():
    client, topic = admin(), create_topic(2, config=KEEP)
    # One batch each, so that a search must look inside (the first) and between them.
    produce_all([{"partition": 0, "value": b"v", "timestamp": t} for t in (1000, 2000, 3000)], topic)
    produce_all([{"partition": 0, "value": b"v", "timestamp": t} for t in (5000, 4000)], topic)
    partition = TopicPartition(topic, 0)

    def offset(spec: OffsetSpec) -> tuple[int, int]:
        found = client.list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[partition].result(PATIENCE)
        return found.offset, found.timestamp

    assert offset(OffsetSpec.earliest()) == (0, -1)
    assert offset(OffsetSpec.latest()) == (5, -1)
    assert offset(OffsetSpec.max_timestamp()) == (3, 5000)
    for timestamp, expected in [(0, (0, 1000)), (1001, (1, 2000)), (3000, (2, 3000)), (3001, (3, 5000)), (5001, (-1, -1))]:
        assert offset(OffsetSpec.for_timestamp(timestamp)) == expected, timestamp
    consumer = Consumer({"bootstrap.servers": bootstrap(), "group.id": unique("times")})
    [found] = consumer.offsets_for_times([TopicPartition(topic, 0, 2500)], timeout=10)
    assert found.offset == 2
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 5)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 1), timeout=10) == (0, 0)
    consumer.close()


def test_records_below_an_offset_can_be_deleted():
    client, topic = admin(), create_topic(1)
    produce_all([{"partition": 0, "value": b"%d" % i} for i in range(10)], topic)
    partition = TopicPartition(topic, 0, 4)
    assert client.delete_records([partition])[partition].result(PATIENCE).low_watermark == 4
    assert [m.offset() for m in read_assigned(topic, 1, 6, **{"auto.offset.reset": "earliest"})] == [4, 5, 6, 7, 8, 9]
    beyond = TopicPartition(topic, 0, 100)
    assert refusal(client.delete_records([beyond])[beyond]) == KafkaError.OFFSET_OUT_OF_RANGE


def test_a_reader_beyond_the_end_is_told_so():
    topic = create_topic(1)
    produce_all([{"partition": 0, "value": b"only"}], topic)
    consumer = Consumer({"bootstrap.servers": bootstrap(), "group.id": unique("beyond"), "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, 0, 50)])
    errors = []

    def told() -> bool:
        errors.extend(m.error().code() for m in consumer.consume(10, 0.2) if m.error())
        return KafkaError._AUTO_OFFSET_RESET in errors

    eventually(told, lambda: f"{errors}")
    consumer.close()


def test_the_offsets_of_a_group_are_altered_and_listed():
    client, topic, group = admin(), create_topic(2), unique("altered")
    produce_all([{"partition": p, "value": b"v"} for p in (0, 1) for _ in range(5)], topic)
    consumer = Consumer({"bootstrap.servers": bootstrap(), "group.id": group})

    def committed() -> bool:
        # Kafka's first coordinator comes to life while it is asked, and librdkafka does not ask it again by itself.
        try:
            return consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)[0].error is None
        except KafkaException as refused:
            assert refused.args[0].code() in (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
            return False

    eventually(committed, "a first commit")
    consumer.close()
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3), TopicPartition(topic, 1, 5)])
    altered = client.alter_consumer_group_offsets([wanted])[group].result(PATIENCE)
    assert [partition.error for partition in altered.topic_partitions] == [None, None]
    listed = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE)
    assert {(p.partition, p.offset) for p in listed.topic_partitions} == {(0, 3), (1, 5)}


def test_the_cluster_describes_itself():
    client = admin()
    cluster = client.describe_cluster().result(PATIENCE)
    [node] = cluster.nodes
    assert f"{node.host}:{node.port}" == bootstrap()
    assert cluster.controller.id == node.id
    assert cluster.cluster_id
