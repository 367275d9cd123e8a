"""The broker under test, topics with names of their own, and awaiting what must happen.

- Every topic and group has a name of its own, so that tests may run beside each other against one broker.
- Nothing sleeps: the client's own `poll` waits for what is awaited.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

# How long anything but a session timeout may take: generous, because continuous integration is slow.
PATIENCE = 30.0

# Timestamps of long ago outlive the broker's retention only where it is switched off.
KEEP = {"retention.ms": "-1"}


def bootstrap() -> str:
    """The broker that the runner started for this suite."""
    return os.environ["OTTLA_BOOTSTRAP"]


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def admin(address: str | None = None) -> AdminClient:
    return AdminClient({"bootstrap.servers": address or bootstrap()})


def create_topic(partitions: int, prefix: str = "python", config: dict[str, str] | None = None, address: str | None = None) -> str:
    topic = unique(prefix)
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
    client = admin(address)  # Named, because it must outlive its futures.
    for created in client.create_topics([new]).values():
        created.result(PATIENCE)

    def led() -> bool:
        # Kafka answers a creation a moment before its brokers have heard of it.
        known = client.list_topics(timeout=10).topics.get(topic)
        return known is not None and len([p for p in known.partitions.values() if p.leader >= 0]) == partitions

    eventually(led, f"{topic} has {partitions} partitions with leaders")
    return topic


def eventually(condition: Callable[[], bool], what: Callable[[], str] | str, patience: float = PATIENCE) -> None:
    """Asks again until `condition` holds; the condition itself waits, by polling a client or asking a broker."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what if isinstance(what, str) else what()}")


def producer(**config) -> Producer:
    return Producer({"bootstrap.servers": bootstrap(), "linger.ms": 5, **config})


def produce_all(messages: list[dict], topic: str, **config) -> list[Message]:
    """Produces `messages` (arguments of `Producer.produce`) and returns their delivery reports in order of delivery."""
    reports: list[Message] = []

    def on_delivery(error, message) -> None:
        if error is not None:
            raise KafkaException(error)
        reports.append(message)

    client = producer(**config)
    for message in messages:
        client.produce(topic, on_delivery=on_delivery, **message)
    assert client.flush(PATIENCE) == 0, "everything is delivered"
    return reports


def read_assigned(topic: str, partitions: int, count: int, **config) -> list[Message]:
    """Reads `count` messages of the partitions from their beginning, without a group."""
    consumer = Consumer({"bootstrap.servers": bootstrap(), "group.id": unique("reader"), "enable.auto.commit": False, **config})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        messages: list[Message] = []

        def enough() -> bool:
            for message in consumer.consume(1000, 0.2):
                if message.error():
                    raise KafkaException(message.error())
                messages.append(message)
            return len(messages) >= count

        eventually(enough, lambda: f"{count} messages, got {len(messages)}")
        return messages
    finally:
        consumer.close()
