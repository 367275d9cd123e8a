"""Transactions as librdkafka speaks them: the partitions are added first, and the epoch stays from one to the next (TV1)."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from support.cluster import PATIENCE, bootstrap, create_topic, eventually, produce_all, read_assigned, unique


def transactional(transactional_id: str, **config) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap(), "transactional.id": transactional_id, **config})
    producer.init_transactions(PATIENCE)
    return producer


def write(producer: Producer, topic: str, *values: str, partition: int = 0) -> None:
    for value in values:
        producer.produce(topic, value=value, partition=partition)
    assert producer.flush(PATIENCE) == 0, "everything is delivered"


def values(topic: str, count: int, partitions: int = 1, isolation: str = "read_committed") -> list[str]:
    read = read_assigned(topic, partitions, count, **{"isolation.level": isolation})
    return [message.value().decode() for message in read]


def test_what_is_committed_is_read_and_what_is_aborted_is_not():
    topic = create_topic(2)
    producer = transactional(unique("txn"))
    for number, end in enumerate(["commit", "abort", "commit", "abort"]):
        producer.begin_transaction()
        write(producer, topic, f"{end}-{number}", partition=0)
        write(producer, topic, f"{end}-{number}", partition=1)
        if end == "commit":
            producer.commit_transaction(PATIENCE)
        else:
            producer.abort_transaction(PATIENCE)
    produce_all([{"value": "last", "partition": partition} for partition in [0, 1]], topic)
    assert sorted(values(topic, 6, 2)) == ["commit-0", "commit-0", "commit-2", "commit-2", "last", "last"]
    assert len(values(topic, 10, 2, "read_uncommitted")) == 10


def test_the_old_one_of_two_producers_with_one_id_is_fenced():
    topic = create_topic(1)
    name = unique("txn")
    old = transactional(name)
    old.begin_transaction()
    write(old, topic, "old")
    new = transactional(name)
    with pytest.raises(KafkaException) as refused:
        old.commit_transaction(PATIENCE)
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)
    new.begin_transaction()
    write(new, topic, "new")
    new.commit_transaction(PATIENCE)
    assert values(topic, 1) == ["new"]


def test_offsets_are_committed_with_the_transaction_or_not_at_all():
    source, target, group = create_topic(1), create_topic(1), unique("group")
    produce_all([{"value": str(number), "partition": 0} for number in range(4)], source)
    settings = {"bootstrap.servers": bootstrap(), "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "isolation.level": "read_committed"})
    try:
        consumer.subscribe([source])
        copied: list[str] = []

        def enough() -> bool:
            copied.extend(message.value().decode() for message in consumer.consume(10, 0.2))
            return len(copied) >= 4

        eventually(enough, "the source is read")
        producer = transactional(unique("txn"))
        committed = lambda: consumer.committed([TopicPartition(source, 0)], PATIENCE)[0].offset  # noqa: E731
        for end, offset in [("abort", 1), ("commit", 3)]:
            producer.begin_transaction()
            write(producer, target, *(f"{end}-{value}" for value in copied))
            producer.send_offsets_to_transaction([TopicPartition(source, 0, offset)], consumer.consumer_group_metadata(), PATIENCE)
            if end == "abort":
                producer.abort_transaction(PATIENCE)
                assert committed() == -1001, "nothing is committed"
            else:
                producer.commit_transaction(PATIENCE)
                assert committed() == 3
        assert values(target, 4) == [f"commit-{value}" for value in copied]
    finally:
        consumer.close()


def test_a_transaction_left_open_holds_readers_up_until_it_times_out():
    topic = create_topic(1)
    left = transactional(unique("txn"), **{"transaction.timeout.ms": 1000, "message.timeout.ms": 1000})
    left.begin_transaction()
    write(left, topic, "left")
    produce_all([{"value": "behind", "partition": 0}], topic)
    assert values(topic, 1) == ["behind"]
