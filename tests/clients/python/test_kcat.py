"""kcat as Debian ships it, over an old librdkafka: every codec, every way to name an offset, groups, metadata."""

import json
import shutil
import subprocess

import pytest
from support.cluster import KEEP, PATIENCE, bootstrap, create_topic, produce_all, unique

pytestmark = pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")

FORMAT = ["-q", "-e", "-f", "%o %k %s\n"]


def kcat(*arguments: str, stdin: str = "") -> list[str]:
    """Runs kcat to its end and returns the lines it printed."""
    command = ["kcat", "-b", bootstrap(), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec(codec):
    topic = create_topic(1)
    sent = [f"{i % 7}:" + f"value {i} " * 20 for i in range(300)]
    kcat("-P", "-t", topic, "-K", ":", "-z", codec, stdin="\n".join(sent))
    expected = [f"{offset} {line.replace(':', ' ', 1)}" for offset, line in enumerate(sent)]
    assert kcat("-C", "-t", topic, "-o", "beginning", *FORMAT) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (["-o", "beginning"], range(10)),
        (["-o", "7"], range(7, 10)),
        (["-o", "-5"], range(5, 10)),
        (["-o", "end"], []),
        (["-o", "s@3001"], range(3, 10)),
        (["-o", "s@3001", "-o", "e@7000"], range(3, 6)),
        (["-o", "beginning", "-c", "2"], range(2)),
    ],
)
def test_consuming_starts_where_it_is_told(start, expected):
    topic = create_topic(1, config=KEEP)
    produce_all([{"partition": 0, "key": "k", "value": "v", "timestamp": 1000 * (i + 1)} for i in range(10)], topic)
    assert kcat("-C", "-t", topic, *start, *FORMAT) == [f"{offset} k v" for offset in expected]


def test_offsets_are_found_by_timestamp():
    topic = create_topic(1, config=KEEP)
    produce_all([{"partition": 0, "value": "v", "timestamp": t} for t in (1000, 2000, 3000)], topic)
    for timestamp, expected in [(-2, 0), (0, 0), (1001, 1), (3000, 2), (3001, -1), (-1, 3)]:
        assert kcat("-Q", "-t", f"{topic}:0:{timestamp}") == [f"{topic} [0] offset {expected}"]


def test_a_group_resumes_where_it_committed():
    topic, group = create_topic(2), unique("kcat")
    member = ["-G", group, "-X", "auto.offset.reset=earliest", *FORMAT, topic]
    kcat("-P", "-t", topic, "-p", "1", stdin="a\nb\nc")
    assert kcat(*member) == ["0  a", "1  b", "2  c"]
    kcat("-P", "-t", topic, "-p", "1", stdin="d")
    assert kcat(*member) == ["3  d"], "closing had committed"


def test_the_cluster_and_its_topics_are_listed():
    topic = create_topic(2)
    listed = json.loads("".join(kcat("-L", "-J", "-t", topic)))
    [broker] = listed["brokers"]
    assert broker["name"] == bootstrap()
    assert listed["controllerid"] == broker["id"]
    me = [{"id": broker["id"]}]
    partitions = [{"partition": p, "leader": broker["id"], "replicas": me, "isrs": me} for p in range(2)]
    assert [(t["topic"], sorted(t["partitions"], key=lambda p: p["partition"])) for t in listed["topics"]] == [(topic, partitions)]
    assert topic in {t["topic"] for t in json.loads("".join(kcat("-L", "-J")))["topics"]}
