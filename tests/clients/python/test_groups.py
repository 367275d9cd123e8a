"""Consumer groups: who owns what, and what each member is given."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, TopicPartition
from support.cluster import admin, create_topic, produce_all, unique
from support.member import SESSION_MS, until, until_shares


def numbered(count: int, partitions: int = 4) -> list[dict]:
    return [{"partition": i % partitions, "value": str(i)} for i in range(count)]


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_one_to_five_members_share_four_partitions(join, strategy):
    topic, group = create_topic(4), unique("sharing")
    members = []
    for expected in [[4], [2, 2], [2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 0]]:
        members.append(join(topic, group, **{"partition.assignment.strategy": strategy}))
        until_shares(members, expected)


def test_of_four_members_and_three_partitions_one_stays_idle(join):
    topic, group = create_topic(3), unique("idle")
    until_shares([join(topic, group) for _ in range(4)], [1, 1, 1, 0])


def test_members_that_leave_hand_their_partitions_over(join):
    topic, group = create_topic(4), unique("leaving")
    members = [join(topic, group) for _ in range(3)]
    until_shares(members, [2, 1, 1])
    members.pop().close()
    until_shares(members, [2, 2])
    members.pop().close()
    until_shares(members, [4])


def test_two_groups_each_receive_every_message(join):
    topic = create_topic(4)
    groups = [[join(topic, group) for _ in range(2)] for group in (unique("north"), unique("south"))]
    produce_all(numbered(200), topic)
    expected = {str(i) for i in range(200)}
    everyone = [member for members in groups for member in members]
    until(everyone, lambda: all({v for m in members for v in m.values()} == expected for members in groups), "200 messages in each group")


def test_one_partition_and_one_consumer_are_a_queue(join):
    topic = create_topic(1)
    member = join(topic, unique("queue"))
    produce_all(numbered(500, partitions=1), topic)
    until([member], lambda: len(member.messages) >= 500, "500 messages")
    assert [(m.offset(), m.value()) for m in member.messages] == [(i, b"%d" % i) for i in range(500)]


def test_a_group_resumes_where_it_committed(join):
    topic, group = create_topic(1), unique("resume")
    produce_all(numbered(10, partitions=1), topic)
    first = join(topic, group, **{"enable.auto.commit": False})
    until([first], lambda: len(first.messages) >= 10, "10 messages")
    committed = first.consumer.commit(offsets=[TopicPartition(topic, 0, 6, "six are done")], asynchronous=False)
    assert [(p.offset, p.error) for p in committed] == [(6, None)]
    first.close()
    second = join(topic, group)
    until([second], lambda: len(second.messages) >= 4, "4 messages")
    assert [m.offset() for m in second.messages] == [6, 7, 8, 9]
    [position] = second.consumer.committed([TopicPartition(topic, 0)], timeout=10)
    assert (position.offset, position.metadata) == (6, "six are done")


def test_a_static_member_returns_without_a_rebalance(join):
    topic, group = create_topic(4), unique("static")
    stays = join(topic, group, **{"group.instance.id": "stays"})
    leaves = join(topic, group, **{"group.instance.id": "leaves"})
    until_shares([stays, leaves], [2, 2])
    before, rebalances = set(leaves.owned), stays.rebalances
    leaves.close()  # A static member does not leave its group by closing.
    returned = join(topic, group, **{"group.instance.id": "leaves"})
    until([stays, returned], lambda: returned.owned == before, lambda: f"{before} again, it owns {returned.owned}")
    produce_all(numbered(8), topic)
    until([stays, returned], lambda: len(stays.messages) == 4 and len(returned.messages) == 4, "four messages each")
    assert stays.rebalances == rebalances, "the other member noticed nothing"


def test_a_second_static_member_of_the_same_name_fences_the_first(join):
    topic, group = create_topic(2), unique("fenced")
    first = join(topic, group, **{"group.instance.id": "twin"})
    until_shares([first], [2])
    second = join(topic, group, **{"group.instance.id": "twin"})
    until_shares([second], [2])

    def fenced() -> bool:
        first.poll()
        return any(error.code() == KafkaError._FATAL for error in first.errors)

    until([second], fenced, lambda: f"the first is fenced, it met {first.errors}")


def test_a_member_without_a_protocol_in_common_is_refused(join):
    topic, group = create_topic(2), unique("protocols")
    member = join(topic, group, **{"partition.assignment.strategy": "range"})
    until_shares([member], [2])
    stranger = join(topic, group, **{"partition.assignment.strategy": "roundrobin"})

    def refused() -> bool:
        stranger.poll()
        return any(error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL for error in stranger.errors)

    until([member], refused, lambda: f"INCONSISTENT_GROUP_PROTOCOL, got {stranger.errors}")
    assert member.owned == {0, 1}, "the group itself is not disturbed"


def test_a_session_timeout_out_of_bounds_is_refused(join):
    topic = create_topic(1)
    hasty = join(topic, unique("hasty"), **{"session.timeout.ms": 100, "heartbeat.interval.ms": 50})
    until([hasty], lambda: any(e.code() == KafkaError.INVALID_SESSION_TIMEOUT for e in hasty.errors), lambda: f"{hasty.errors}")


def test_the_partitions_of_a_killed_consumer_are_taken_over(join):
    topic, group = create_topic(4), unique("takeover")
    survivor = join(topic, group)
    until_shares([survivor], [4])
    child = subprocess.Popen(
        [sys.executable, "-m", "support.doomed", topic, group],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    told: list[dict] = []
    listener = threading.Thread(target=lambda: told.extend(json.loads(line) for line in child.stdout), daemon=True)
    listener.start()
    try:
        until([survivor], lambda: any(len(t.get("owned") or []) == 2 for t in list(told)), "the doomed member owns two partitions")
        until([survivor], lambda: survivor.owned is not None and len(survivor.owned) == 2, "the survivor owns the other two")
        produce_all(numbered(200), topic)
        until([survivor], lambda: any("value" in t for t in list(told)), "the doomed member has read something")
        died = time.monotonic()
        child.kill()
        produce_all([{"partition": i % 4, "value": str(200 + i)} for i in range(200)], topic)
        until_shares([survivor], [4], SESSION_MS / 1000 + 15)
        elapsed = time.monotonic() - died
        assert elapsed >= SESSION_MS / 1000 - 2, "not before the session can have ended"
        listener.join()
        by_doomed = {t["value"] for t in told if "value" in t}
        until(
            [survivor],
            lambda: len(by_doomed | set(survivor.values())) == 400,
            lambda: f"{len(by_doomed)} + {len(survivor.values())} of 400",
        )
        assert {str(i) for i in range(200, 400)} <= set(survivor.values()), "what came after the kill reached the survivor"
    finally:
        child.kill()
        child.wait()


def test_groups_are_listed_described_and_deleted(join):
    topic, group = create_topic(2), unique("described")
    produce_all(numbered(8, partitions=2), topic)
    member = join(topic, group, **{"client.id": "the-client"})
    until([member], lambda: len(member.messages) == 8, "8 messages")
    member.consumer.commit(asynchronous=False)
    client = admin()
    listed = {g.group_id: g for g in client.list_consumer_groups().result().valid}
    assert listed[group].state.name == "STABLE"
    described = client.describe_consumer_groups([group])[group].result()
    assert [m.client_id for m in described.members] == ["the-client"]
    assert described.partition_assignor == "range"
    assert sorted(p.partition for p in described.members[0].assignment.topic_partitions) == [0, 1]
    with pytest.raises(Exception) as refused:
        client.delete_consumer_groups([group])[group].result()
    assert refused.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    member.close()
    assert client.describe_consumer_groups([group])[group].result().state.name == "EMPTY"
    client.delete_consumer_groups([group])[group].result()
    assert group not in {g.group_id for g in client.list_consumer_groups().result().valid}
