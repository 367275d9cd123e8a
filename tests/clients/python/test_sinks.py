"""`ottla sink run` on what librdkafka writes: what was committed is in the table, once, and what was aborted never."""

import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer
from support.cluster import PATIENCE, bootstrap, create_topic, eventually, unique

pytestmark = pytest.mark.skipif("OTTLA_BIN" not in os.environ, reason="OTTLA_BIN names no `ottla` to run a sink with")


def write(producer: Producer, topic: str, *numbers: int) -> None:
    for number in numbers:
        producer.produce(topic, value=f'{{"id":{number}}}', partition=number % 2)
    assert producer.flush(PATIENCE) == 0, "everything is delivered"


def rows(database: Path) -> list[int]:
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        return [number for (number,) in connection.execute("SELECT id FROM t ORDER BY id")]


def ended(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        return connection.execute("SELECT sum(next_offset) FROM ottla_offsets").fetchone()[0] or 0


def test_a_table_has_what_was_committed_and_nothing_that_was_aborted(tmp_path: Path):
    topic = create_topic(2)
    database, file = tmp_path / "rows.db", tmp_path / "sink.toml"
    file.write_text(
        f"name = '{unique('sink')}'\ntopics = '{topic}'\ntable = 't'\ncolumns.id = 'bigint'\nflush.age_ms = 20\n"
        f"database.url = 'sqlite:{database}'\n"
    )
    producer = Producer({"bootstrap.servers": bootstrap(), "transactional.id": unique("txn")})
    producer.init_transactions(PATIENCE)
    for first, end in enumerate([producer.commit_transaction, producer.abort_transaction, producer.commit_transaction]):
        producer.begin_transaction()
        write(producer, topic, *range(first * 100, first * 100 + 100))
        end(PATIENCE)
    # Open while the worker reads: nothing of it, nor of what comes behind it, may be in the table.
    producer.begin_transaction()
    write(producer, topic, *range(300, 400))

    worker = subprocess.Popen([os.environ["OTTLA_BIN"], "sink", "run", str(file), "--bootstrap", bootstrap()])
    try:
        committed = [*range(100), *range(200, 300)]
        # 150 records and 3 markers in each of 2 partitions.
        eventually(lambda: database.exists() and has_tables(database) and ended(database) == 306, "the sink is behind the last marker")
        assert rows(database) == committed
        producer.abort_transaction(PATIENCE)
        producer.begin_transaction()
        write(producer, topic, 1000, 1001)
        producer.commit_transaction(PATIENCE)
        eventually(lambda: rows(database)[-1] == 1001, "what was committed last is there")
        assert rows(database) == [*committed, 1000, 1001]
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0


def has_tables(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        return connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('t', 'ottla_offsets')").fetchone()[0] == 2
