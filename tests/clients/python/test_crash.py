"""The broker is killed under load, again and again: what it acknowledged is there afterwards, once, where it said, in order.

OTTLA_KILLS sets how often (5), OTTLA_SEED the moments; a failure prints its seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from support.broker import Broker
from support.cluster import PATIENCE, admin, create_topic, eventually

PARTITIONS = 4
OUTSTANDING = 2000  # Messages in flight at most, so that a kill meets some of them in every stage.


class Load:
    """An idempotent producer with acks=all; partition p is sent the values 0, 1, 2, …, and `acknowledged[p]` maps offset to value."""

    def __init__(self, address: str, topic: str) -> None:
        self.topic = topic
        self.sent = [0] * PARTITIONS
        self.acknowledged: list[dict[int, int]] = [{} for _ in range(PARTITIONS)]
        self.failures: list[object] = []
        self.progress = threading.Semaphore(0)
        self.stopping = threading.Event()
        self.producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 1,
                "batch.num.messages": 50,
                "message.timeout.ms": 120_000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 50,
            }
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _on_delivery(self, error, message) -> None:
        if error is not None:
            self.failures.append(error)
        else:
            self.acknowledged[message.partition()][message.offset()] = int(message.value().split()[0])
        self.progress.release()

    def _run(self) -> None:
        padding = "x" * 100
        while not self.stopping.is_set() and not self.failures:
            for partition in range(PARTITIONS):
                value = f"{self.sent[partition]} {padding}"
                self.producer.produce(self.topic, value, partition=partition, on_delivery=self._on_delivery)
                self.sent[partition] += 1
            self.producer.poll(0)
            while len(self.producer) > OUTSTANDING:
                self.producer.poll(0.05)

    def await_progress(self) -> None:
        """Returns after an acknowledgement that comes from now on."""
        while self.progress.acquire(blocking=False):
            pass
        assert self.progress.acquire(timeout=PATIENCE), f"no acknowledgement within {PATIENCE} s; failures: {self.failures}"

    def finish(self) -> None:
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(60) == 0, "everything is acknowledged in the end"
        assert self.failures == []


class Reader:
    """A group of one that commits as it goes; `committed` holds what the broker confirmed, `attempted` what it was asked."""

    def __init__(self, address: str, topic: str, group: str) -> None:
        self.seen: list[dict[int, int]] = [{} for _ in range(PARTITIONS)]
        self.committed = [0] * PARTITIONS
        self.attempted = [0] * PARTITIONS
        self.stopping = threading.Event()
        self.consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 30_000,
                "heartbeat.interval.ms": 500,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
            }
        )
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.stopping.is_set():
            batch = [message for message in self.consumer.consume(500, 0.1) if not message.error()]
            for message in batch:
                self.seen[message.partition()][message.offset()] = int(message.value().split()[0])
                self.attempted[message.partition()] = max(self.attempted[message.partition()], message.offset() + 1)
            if batch:
                try:
                    for done in self.consumer.commit(asynchronous=False):
                        if done.error is None:
                            self.committed[done.partition] = max(self.committed[done.partition], done.offset)
                except KafkaException:
                    continue  # The broker is away: neither confirmed nor refused.

    def finish(self) -> None:
        self.stopping.set()
        self.thread.join()
        self.consumer.close()


def log_end(consumer: Consumer, partition: TopicPartition) -> int:
    """The end of a partition, asked for until a broker that has just started leads it."""
    ends: list[int] = []

    def answered() -> bool:
        try:
            ends.append(consumer.get_watermark_offsets(partition, timeout=PATIENCE)[1])
        except KafkaException as failure:
            if not failure.args[0].retriable() and failure.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
        return bool(ends)

    eventually(answered, f"the end of {partition}")
    return ends[0]


def read_log(address: str, topic: str, expected: int) -> list[list[tuple[int, int]]]:
    """Each partition from its beginning: (offset, value) in the order of the log; reads up to the ends that the broker names."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "checker", "enable.auto.commit": False})
    ends = [log_end(consumer, TopicPartition(topic, p)) for p in range(PARTITIONS)]
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    log: list[list[tuple[int, int]]] = [[] for _ in range(PARTITIONS)]

    def complete() -> bool:
        for message in consumer.consume(1000, 0.2):
            assert not message.error(), message.error()
            log[message.partition()].append((message.offset(), int(message.value().split()[0])))
        return all(end == 0 or (records and records[-1][0] == end - 1) for records, end in zip(log, ends))

    eventually(complete, lambda: f"{expected} records, ends {ends}, read {[len(r) for r in log]}", 60)
    consumer.close()
    return log


def check(log: list[list[tuple[int, int]]], load: Load, reader: Reader) -> list[str]:
    """Everything that is wrong, named as the anomaly it is."""
    wrong = []
    for p, records in enumerate(log):
        at = dict(records)
        where = defaultdict(list)
        for offset, value in records:
            where[value].append(offset)
        wrong += [
            f"lost: {p}/{o} was acknowledged as {v}, the log has {at.get(o)}" for o, v in load.acknowledged[p].items() if at.get(o) != v
        ]
        wrong += [f"changed: {p}/{o} was read as {v}, the log has {at.get(o)}" for o, v in reader.seen[p].items() if at.get(o) != v]
        wrong += [f"duplicate: {p} has {v} at {offsets}" for v, offsets in where.items() if len(offsets) > 1]
        wrong += [f"missing: {p} was sent {v}" for v in range(load.sent[p]) if v not in where]
        wrong += [f"order: {p}/{o} holds {v} after {u}" for (_, u), (o, v) in zip(records, records[1:]) if v <= u]
        wrong += [f"gap: {p} goes from {n} to {o}" for (n, _), (o, _) in zip(records, records[1:]) if o != n + 1]
    return wrong


def test_the_checker_names_every_anomaly():
    class Told:
        sent = [3, 0, 0, 0]
        acknowledged = [{0: 0, 1: 1, 2: 2}, {}, {}, {}]
        seen = [{1: 1}, {}, {}, {}]

    def anomalies(records: list[tuple[int, int]]) -> set[str]:
        return {line.split(":")[0] for line in check([records, [], [], []], Told, Told)}

    assert anomalies([(0, 0), (1, 1), (2, 2)]) == set()
    assert anomalies([(0, 0), (1, 1)]) == {"lost", "missing"}
    assert anomalies([(0, 0), (1, 2), (2, 1)]) == {"lost", "changed", "order"}
    assert anomalies([(0, 0), (1, 1), (2, 2), (3, 2)]) == {"duplicate", "order"}
    assert anomalies([(0, 0), (1, 1), (3, 2)]) == {"lost", "gap"}


@pytest.mark.skipif("OTTLA_BIN" not in os.environ, reason="OTTLA_BIN names no broker to kill")
def test_a_killed_broker_keeps_what_it_acknowledged(tmp_path):
    kills = int(os.environ.get("OTTLA_KILLS", "5"))
    seed = int(os.environ.get("OTTLA_SEED", time.time_ns() % 1_000_000))
    print(f"OTTLA_SEED={seed}")
    moments = random.Random(seed)

    broker = Broker(tmp_path / "data")
    broker.start()
    topic, group = create_topic(PARTITIONS, "crash", address=broker.address), "crash-readers"
    load = Load(broker.address, topic)
    reader = Reader(broker.address, topic, group)
    try:
        for _ in range(kills):
            load.await_progress()
            # Not for anything to happen: the moment of the kill is what is random here.
            load.stopping.wait(moments.uniform(0.02, 1.0))
            broker.kill()
            broker.start()
        load.await_progress()
        load.finish()
        eventually(lambda: reader.stopping.wait(0.05) or min(map(len, reader.seen)) > 0 and max(reader.committed) > 0, "the reader reads")
        reader.finish()

        broker.kill()
        broker.start()
        log = read_log(broker.address, topic, sum(load.sent))
        wrong = check(log, load, reader)
        assert wrong == [], f"seed {seed}: {len(wrong)} anomalies in {sum(load.sent)} records, the first: {wrong[:10]}"
        assert sum(map(len, load.acknowledged)) == sum(load.sent)

        asker = Consumer({"bootstrap.servers": broker.address, "group.id": group, "enable.auto.commit": False})
        kept = asker.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=PATIENCE)
        asker.close()
        for p, position in enumerate(kept):
            offset = max(position.offset, 0)  # Nothing committed is a negative offset.
            assert reader.committed[p] <= offset <= reader.attempted[p], f"seed {seed}: partition {p} committed {offset}"
        assert topic in admin(broker.address).list_topics(timeout=10).topics
        print(f"{sum(load.sent)} records in {kills + 1} lives, {sum(map(len, reader.seen))} read, committed {reader.committed}")
        assert broker.stop() == 0, "and it still stops cleanly"
    finally:
        load.stopping.set()
        reader.stopping.set()
        broker.process.kill()
        load.thread.join()
        reader.thread.join()


def bounds(address: str, topic: str) -> tuple[int, int]:
    """Where partition 0 starts and ends, told to a client that remembers nothing of an earlier life."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bounds", "enable.auto.commit": False})
    log_end(consumer, TopicPartition(topic, 0))
    found = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)
    consumer.close()
    return found


def promises_more_than_kafka() -> bool:
    """Whether the broker is Ottla: Kafka writes down where its logs start once a minute, and may forget when it is killed."""
    return Path(os.environ.get("OTTLA_BIN", "reference/ottla")).parent.name != "reference"


@pytest.mark.skipif(not promises_more_than_kafka(), reason="OTTLA_BIN names no broker that keeps deleted records deleted")
@pytest.mark.parametrize("config", [{}, {"ottla.durability": "memory"}], ids=["disk", "memory"])
def test_deleted_records_stay_deleted_when_the_broker_is_killed(tmp_path, config):
    broker = Broker(tmp_path / "data")
    broker.start()
    try:
        topic = create_topic(1, "deleted", config, address=broker.address)
        producer = Producer({"bootstrap.servers": broker.address})
        for number in range(100):
            producer.produce(topic, str(number), partition=0)
        assert producer.flush(PATIENCE) == 0
        for before, start in [(60, 60), (30, 60), (OFFSET_END, 100)]:
            client = admin(broker.address)
            deleted = client.delete_records([TopicPartition(topic, 0, before)])
            assert [future.result(PATIENCE).low_watermark for future in deleted.values()] == [start]
            broker.kill()
            broker.start()
            assert bounds(broker.address, topic) == (start, 100)
    finally:
        broker.process.kill()
