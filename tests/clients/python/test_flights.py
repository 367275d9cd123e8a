"""A whole table through `ottla produce`, six partitions and a group of three: every row once, in the order of its carrier."""

import hashlib
import os
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
from flights.convert import COUNT, flights
from support.cluster import bootstrap, create_topic, unique
from support.member import Member, until_shares

PARTITIONS = 6


class Digest:
    """Count and checksum of the rows of one carrier, in order."""

    def __init__(self) -> None:
        self.count = 0
        self.hash = hashlib.sha256()

    def add(self, row: bytes) -> None:
        self.count += 1
        self.hash.update(row + b"\n")

    def __eq__(self, other) -> bool:
        return (self.count, self.hash.digest()) == (other.count, other.hash.digest())

    def __repr__(self) -> str:
        return f"{self.count} rows {self.hash.hexdigest()[:12]}"


@pytest.mark.skipif("OTTLA_BIN" not in os.environ, reason="OTTLA_BIN names no `ottla` to produce with")
def test_a_table_of_flights_arrives_whole_and_in_order(tmp_path, join):
    expected: dict[bytes, Digest] = defaultdict(Digest)
    lines = tmp_path / "flights.tsv"
    with lines.open("w") as out:
        for carrier, flight in flights():
            expected[carrier.encode()].add(flight.encode())
            out.write(f"{carrier}\t{flight}\n")
    assert sum(digest.count for digest in expected.values()) == COUNT

    topic, group = create_topic(PARTITIONS, "flights"), unique("flights")
    command = [os.environ["OTTLA_BIN"], "produce", topic, "-f", str(lines), "--key-separator", "\t", "--bootstrap", bootstrap()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

    members = [join(topic, group) for _ in range(3)]
    until_shares(members, [2, 2, 2])
    got: dict[bytes, Digest] = defaultdict(Digest)
    home: dict[bytes, set[int]] = defaultdict(set)
    # Messages that a member took before all three had joined are taken again by the owner: the offset tells.
    next_offset = [0] * PARTITIONS

    def take(message) -> None:
        if message.offset() != next_offset[message.partition()]:
            assert message.offset() < next_offset[message.partition()], "no gap"
            return
        next_offset[message.partition()] += 1
        got[message.key()].add(message.value())
        home[message.key()].add(message.partition())

    def drain(member: Member) -> list:
        return member.messages + member.consumer.consume(20_000, 1.0)

    with ThreadPoolExecutor(len(members)) as threads:
        while sum(next_offset) < COUNT:
            drained = list(threads.map(drain, members))
            assert any(drained), f"nothing more after {sum(next_offset)} of {COUNT} rows"
            for member, messages in zip(members, drained):
                member.messages = []
                for message in messages:
                    assert not message.error(), message.error()
                    take(message)
    assert got == expected
    assert all(len(partitions) == 1 for partitions in home.values()), "a key has one partition"
    assert all(member.owned for member in members), "all three had a share to the end"
