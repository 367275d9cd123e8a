"""All brokers that a client knows are gone, and the address it began with is another one's by now: with
`metadata.recovery.strategy=rebootstrap` it looks there again.

librdkafka 2.16 does so by itself, without being told REBOOTSTRAP_REQUIRED, which neither Apache Kafka 4.3 nor Ottla answers; it goes on with both,
whichever cluster the new broker is of.
"""

from __future__ import annotations

import os
import shutil

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic
from support.broker import Broker
from support.cluster import PATIENCE, admin, eventually
from support.door import Door

TOPIC = "followed"


def start(broker: Broker) -> None:
    broker.start()
    client = admin(broker.address)  # Named, because it must outlive its futures.
    for created in client.create_topics([NewTopic(TOPIC, 1, 1)]).values():
        refused = created.exception(PATIENCE)
        assert refused is None or refused.args[0].name() == "TOPIC_ALREADY_EXISTS", refused


@pytest.mark.skipif("OTTLA_BIN" not in os.environ, reason="OTTLA_BIN names no broker to start")
@pytest.mark.parametrize("cluster", ["the same", "another"])
def test_a_client_that_knows_only_brokers_that_are_gone_goes_on_with_the_one_at_its_first_address(tmp_path, cluster):
    first, second = Broker(tmp_path / "first"), Broker(tmp_path / "second")
    start(first)
    door = Door(first.address)
    config = {"bootstrap.servers": door.address, "metadata.recovery.strategy": "rebootstrap", "reconnect.backoff.max.ms": 500}
    producer = Producer(config)
    consumer = Consumer({**config, "group.id": "g", "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    consumer.subscribe([TOPIC])
    read: set[bytes] = set()

    def is_read(value: bytes) -> bool:
        read.update(message.value() for message in consumer.consume(10, 0.2) if not message.error())
        return value in read

    try:
        for value in [b"before", b"after"]:
            refusals: list = []
            producer.produce(TOPIC, value, on_delivery=lambda error, _: refusals.append(error))
            assert producer.flush(2 * PATIENCE) == 0 and refusals == [None]
            eventually(lambda: is_read(value), lambda: f"{value} is read; there were {read}", 2 * PATIENCE)
            if value == b"before":
                first.stop()
                if cluster == "the same":
                    shutil.copytree(first.folder, second.folder)
                start(second)
                door.behind = second.address
    finally:
        consumer.close()
        second.kill()
        door.close()
