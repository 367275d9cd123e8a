"""Producing: where a message lands, what survives the way through the broker, and what the acknowledgement says."""

import json
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException
from support.cluster import KEEP, admin, create_topic, produce_all, read_assigned, unique

# Keys and the hash that every client must give them (`Utils.murmur2` of the Java client, sign bit cleared).
VECTORS = json.loads((Path(__file__).parent.parent / "murmur2.json").read_text())


def test_an_explicit_partition_is_obeyed_and_the_report_names_the_offset():
    topic = create_topic(3)
    reports = produce_all([{"partition": p, "value": f"p{p}"} for p in [0, 1, 1, 2, 2, 2]], topic)
    assert sorted((r.partition(), r.offset(), r.value()) for r in reports) == [
        (0, 0, b"p0"),
        (1, 0, b"p1"),
        (1, 1, b"p1"),
        (2, 0, b"p2"),
        (2, 1, b"p2"),
        (2, 2, b"p2"),
    ]
    assert {(m.partition(), m.offset()) for m in read_assigned(topic, 3, 6)} == {(r.partition(), r.offset()) for r in reports}


def test_keyed_messages_land_where_murmur2_says():
    topic = create_topic(6)
    reports = produce_all([{"key": v["key"], "value": v["key"]} for v in VECTORS], topic, partitioner="murmur2_random")
    assert {r.key().decode(): r.partition() for r in reports} == {v["key"]: v["hash"] % 6 for v in VECTORS}


def test_everything_comes_back_as_it_was():
    topic = create_topic(1, config=KEEP)
    sent = [
        {"key": None, "value": b"no key", "timestamp": 1600000000000},
        {"key": b"tombstone", "value": None, "timestamp": 1600000000001},
        {"key": b"", "value": b"", "timestamp": 1600000000002},
        {
            "key": b"\xff\x00binary",
            "value": bytes(range(256)),
            "timestamp": 1600000000003,
            "headers": [("one", b"1"), ("many", b"a"), ("many", b"b"), ("null", None), ("empty", b"")],
        },
        {"key": b"large", "value": b"x" * 900_000, "timestamp": 1600000000004},
    ]
    produce_all([{"partition": 0, **message} for message in sent], topic)
    got = read_assigned(topic, 1, len(sent))
    assert [(m.key(), m.value(), m.timestamp()) for m in got] == [
        (m["key"], m["value"], (TIMESTAMP_CREATE_TIME, m["timestamp"])) for m in sent
    ]
    assert [m.headers() for m in got] == [m.get("headers") for m in sent]


def test_a_topic_can_stamp_messages_itself():
    topic = create_topic(1, config={"message.timestamp.type": "LogAppendTime"})
    produce_all([{"partition": 0, "value": b"when?", "timestamp": 1000}], topic)
    kind, timestamp = read_assigned(topic, 1, 1)[0].timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert timestamp > 1600000000000


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec(codec):
    topic = create_topic(1)
    sent = [(b"%d" % (i % 7), b"value %d " % i * 20) for i in range(1000)]
    produce_all([{"partition": 0, "key": k, "value": v} for k, v in sent], topic, **{"compression.codec": codec, "linger.ms": 50})
    assert [(m.key(), m.value()) for m in read_assigned(topic, 1, len(sent))] == sent


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
def test_a_topic_of_one_codec_takes_every_other(codec):
    topic = create_topic(1, config={"compression.type": codec})
    for used in ["none", "gzip", "snappy", "lz4", "zstd"]:
        produce_all([{"partition": 0, "value": f"{used} {i}" * 10} for i in range(50)], topic, **{"compression.codec": used})
    expected = [f"{used} {i}" * 10 for used in ["none", "gzip", "snappy", "lz4", "zstd"] for i in range(50)]
    assert [m.value().decode() for m in read_assigned(topic, 1, 250)] == expected


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_acknowledgement(acks):
    topic = create_topic(1)
    produce_all([{"partition": 0, "value": b"%d" % i} for i in range(100)], topic, acks=acks)
    assert [m.value() for m in read_assigned(topic, 1, 100)] == [b"%d" % i for i in range(100)]


def test_an_idempotent_producer_writes_each_message_once_and_in_order():
    topic = create_topic(4)
    sent = [{"partition": i % 4, "value": str(i)} for i in range(2000)]
    # Small batches, five in flight: the order is the broker's to keep.
    reports = produce_all(sent, topic, **{"enable.idempotence": True, "batch.num.messages": 10, "linger.ms": 0})
    assert len(reports) == 2000
    got = read_assigned(topic, 4, 2000)
    for partition in range(4):
        mine = [m for m in got if m.partition() == partition]
        assert [m.value() for m in mine] == [b"%d" % i for i in range(partition, 2000, 4)]
        assert [m.offset() for m in mine] == list(range(500))


def test_producing_to_an_unknown_topic_creates_it():
    topic = unique("created-by-producing")
    produce_all([{"value": b"first"}], topic)
    assert topic in admin().list_topics(timeout=10).topics


def test_a_message_above_max_message_bytes_is_refused():
    topic = create_topic(1, config={"max.message.bytes": "10000"})
    with pytest.raises(KafkaException) as refused:
        produce_all([{"partition": 0, "value": b"x" * 20_000}], topic)
    assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    produce_all([{"partition": 0, "value": b"small enough"}], topic)


def test_a_compacted_topic_refuses_a_message_without_a_key():
    topic = create_topic(1, config={"cleanup.policy": "compact"})
    with pytest.raises(KafkaException) as refused:
        produce_all([{"partition": 0, "value": b"no key"}], topic)
    assert refused.value.args[0].code() == KafkaError.INVALID_RECORD
    produce_all([{"partition": 0, "key": b"k", "value": b"v"}], topic)
