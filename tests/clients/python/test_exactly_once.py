"""Records copied in transactions that carry the offsets of their group, while the broker is killed again and again.

OTTLA_COPIED_RECORDS sets how many (8000; 100,000 in a soak).
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from support.broker import Broker
from support.cluster import PATIENCE, create_topic, eventually, produce_all, unique
from support.member import HEARTBEAT_MS, SESSION_MS

PARTITIONS = 4
COPIERS = 2
GROUP = "copiers"
PER_TRANSACTION = 750
RECORDS_PER_KILL = 2_500
RECONNECTING = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    # With "rebootstrap", librdkafka 2.16 forgets what it was asking a coordinator when the last broker is away: that call never returns.
    "metadata.recovery.strategy": "none",
}


class Copier:
    """A member of a group that copies what it reads, and tells `copied` of each commit how many records it has; `failure` is why it ended
    early."""

    def __init__(self, address: str, source: str, target: str, copied: queue.Queue[int]) -> None:
        self.target = target
        self.copied = copied
        self.failure: BaseException | None = None
        self.stopping = threading.Event()
        self.consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": GROUP,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                # A killed coordinator may forget that a member left, and waits for it once more.
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": HEARTBEAT_MS,
                **RECONNECTING,
            }
        )
        self.producer = Producer({"bootstrap.servers": address, "transactional.id": unique("copier"), "linger.ms": 5, **RECONNECTING})
        self.producer.init_transactions(PATIENCE)
        self.consumer.subscribe([source])
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                # What is an error here is a broker that is away: the client asks again by itself.
                batch = [message for message in self.consumer.consume(PER_TRANSACTION, 0.1) if not message.error()]
                if batch:
                    self._copy(batch)
        except BaseException as failure:
            self.failure = failure
            self.copied.put(0)
        finally:
            self.consumer.close()

    def _copy(self, batch: list) -> None:
        self.producer.begin_transaction()
        try:
            for message in batch:
                self.producer.produce(self.target, message.value(), partition=message.partition())
            positions = self.consumer.position(self.consumer.assignment())
            known = [position for position in positions if position.offset >= 0]
            self.again(lambda: self.producer.send_offsets_to_transaction(known, self.consumer.consumer_group_metadata(), PATIENCE))
            self.again(lambda: self.producer.commit_transaction(PATIENCE))
            self.copied.put(len(batch))
        except KafkaException as refused:
            if not refused.args[0].txn_requires_abort():
                raise
            self.again(lambda: self.producer.abort_transaction(PATIENCE))
            self._rewind()

    def again(self, step) -> None:
        """Takes a step of the transaction; what may be retried is, until nobody would wait any longer."""
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            try:
                return step()
            except KafkaException as refused:
                if not refused.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def _rewind(self) -> None:
        """Back to what is committed: what was read since is not copied."""
        owned = self.consumer.assignment()
        committed: list[TopicPartition] = []
        if owned:
            self.again(lambda: committed.extend(self.consumer.committed(owned, PATIENCE)))
        for position in committed:
            self.consumer.seek(TopicPartition(position.topic, position.partition, max(position.offset, 0)))


def stop(copiers: list[Copier], copied: queue.Queue[int]) -> int:
    """Ends them all; how many records they still committed."""
    more = 0
    for copier in copiers:
        copier.stopping.set()
    for copier in copiers:
        while copier.thread.is_alive():
            copier.thread.join(0.01)
            while not copied.empty():
                more += copied.get()
    return more


def committed_offsets(address: str, topic: str) -> list[int]:
    asker = Consumer({"bootstrap.servers": address, "group.id": GROUP, "enable.auto.commit": False})
    committed = asker.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], PATIENCE)
    asker.close()
    return [position.offset for position in committed]


def committed_values(address: str, topic: str) -> list[list[int]]:
    """The committed values of each partition, in the order of their offsets, up to a record put behind them all: it is read only when no
    transaction before it is left open."""
    produce_all([{"value": "last", "partition": p} for p in range(PARTITIONS)], topic, **{"bootstrap.servers": address})
    values: list[list[int]] = [[] for _ in range(PARTITIONS)]
    ended: set[int] = set()
    reader = Consumer({"bootstrap.servers": address, "group.id": "checker", "enable.auto.commit": False, "isolation.level": "read_committed"})
    reader.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])

    def complete() -> bool:
        for message in reader.consume(1000, 0.2):
            assert not message.error(), message.error()
            if message.value() == b"last":
                ended.add(message.partition())
            else:
                values[message.partition()].append(int(message.value()))
        return len(ended) == PARTITIONS

    eventually(complete, lambda: f"the ends of {topic}; read {[len(v) for v in values]}")
    reader.close()
    return values


@pytest.mark.skipif("OTTLA_BIN" not in os.environ, reason="OTTLA_BIN names no broker to kill")
def test_what_was_copied_in_transactions_is_there_once_and_in_order_after_the_broker_was_killed_again_and_again(tmp_path):
    records = int(os.environ.get("OTTLA_COPIED_RECORDS", "8000"))
    broker = Broker(tmp_path / "data")
    broker.start()
    # Nobody goes on before he is heard: the kills come in the middle of the work, however quick it is.
    copied: queue.Queue[int] = queue.Queue(maxsize=1)
    copiers: list[Copier] = []
    try:
        address = broker.address
        source, target = (create_topic(PARTITIONS, name, address=address) for name in ["source", "target"])
        numbered = [{"value": str(number), "partition": number % PARTITIONS} for number in range(records)]
        produce_all(numbered, source, **{"bootstrap.servers": address, "queue.buffering.max.messages": records})
        copiers = [Copier(address, source, target, copied) for _ in range(COPIERS)]
        done = kills = 0
        while done < records:
            done += copied.get(timeout=4 * PATIENCE)
            assert not any(copier.failure for copier in copiers), f"{[copier.failure for copier in copiers]} after {done} records and {kills} kills"
            if (kills + 1) * RECORDS_PER_KILL <= done:
                # At any moment of the transactions that go on.
                time.sleep(random.uniform(0.0, 0.1))
                broker.kill()
                broker.start()
                # Another takes over from what one has committed.
                copiers[kills].stopping.set()
                copiers.append(Copier(address, source, target, copied))
                kills += 1
        done += stop(copiers, copied)
        assert not any(copier.failure for copier in copiers), [copier.failure for copier in copiers]
        assert committed_values(address, target) == [list(range(p, records, PARTITIONS)) for p in range(PARTITIONS)]
        assert committed_offsets(address, source) == [len(range(p, records, PARTITIONS)) for p in range(PARTITIONS)]
        assert (done, kills) == (records, records // RECORDS_PER_KILL)
        print(f"{records} records by confluent-kafka, {kills} kills")
    finally:
        broker.process.kill()
        stop(copiers, copied)
