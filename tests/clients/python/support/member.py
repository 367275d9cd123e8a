"""Members of a consumer group, driven together: whoever waits polls them all, so that rebalances proceed."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from support.cluster import PATIENCE, bootstrap, eventually

SESSION_MS = 6_000  # The least that Kafka's default `group.min.session.timeout.ms` allows.
HEARTBEAT_MS = 300


class Member:
    """One consumer: `owned` is what it owns now, `None` before its first assignment; `rebalances` counts the changes."""

    def __init__(self, topic: str, group: str, **config) -> None:
        self.owned: set[int] | None = None
        self.rebalances = 0
        self.messages: list[Message] = []
        self.errors: list[KafkaError] = []
        self.cooperative = "cooperative" in config.get("partition.assignment.strategy", "")
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap(),
                "group.id": group,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": HEARTBEAT_MS,
                "fetch.wait.max.ms": 100,
                **config,
            }
        )
        self.consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        kept = (self.owned or set()) if self.cooperative else set()
        self.owned = kept | {partition.partition for partition in partitions}
        self.rebalances += 1

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        left = (self.owned or set()) - {partition.partition for partition in partitions}
        # An eager member owns nothing until it is told again what it owns.
        self.owned = left if self.cooperative else None

    def poll(self, seconds: float = 0.02) -> None:
        for message in self.consumer.consume(500, seconds):
            if message.error():
                self.errors.append(message.error())
            else:
                self.messages.append(message)

    def values(self) -> list[str]:
        return [message.value().decode() for message in self.messages]

    def close(self) -> None:
        self.consumer.close()
        self.owned = set()


def until(members: list[Member], condition, what, patience: float = PATIENCE) -> None:
    """Polls the members until the condition holds."""

    def polled() -> bool:
        for member in members:
            member.poll()
            fatal = [error for error in member.errors if error.fatal()]
            if fatal:
                raise KafkaException(fatal[0])
        return condition()

    eventually(polled, what, patience)


def shares(members: list[Member], partitions: int) -> list[int] | None:
    """How many partitions each member owns, most first; None while a partition has no owner or two."""
    if any(member.owned is None for member in members):
        return None
    owned = [partition for member in members for partition in member.owned]
    if len(owned) != partitions or len(set(owned)) != partitions:
        return None
    return sorted((len(member.owned) for member in members), reverse=True)


def until_shares(members: list[Member], expected: list[int], patience: float = PATIENCE) -> None:
    partitions = sum(expected)
    until(
        members,
        lambda: shares(members, partitions) == expected,
        lambda: f"shares {expected}; they own {[member.owned for member in members]}",
        patience,
    )
