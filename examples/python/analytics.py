"""Analytics: what users do goes to two groups at once; Storage keeps every event, Analytics a count of each kind.

`ottla demo analytics` shows the same live. What Storage does by hand, and at least once, `ottla sink` does as one command, and
exactly once.
"""

import json
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter

from client import BOOTSTRAP
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

USERS, EVENTS = 200, 3000
ACTIONS = ["view", "search", "like", "buy"]
RUN = int(time.time())  # Topics and groups of this run's own, so that the numbers at the end agree.
TOPIC = f"UserActivity-{RUN}"


def store(database: sqlite3.Connection, events: list[dict]) -> None:
    database.executemany("INSERT INTO events VALUES (:user, :action)", events)


def count(database: sqlite3.Connection, events: list[dict]) -> None:
    """Adds a whole batch up before the database hears of it: four rows change, however many events there are."""
    actions = Counter(event["action"] for event in events)
    database.executemany(
        "INSERT INTO actions VALUES (?, ?) ON CONFLICT (action) DO UPDATE SET times = times + excluded.times", actions.items()
    )


GROUPS = {  # The name of a group, its table, what it writes there, and how many events that table knows of.
    "Storage": ("CREATE TABLE events (user, action)", store, "SELECT count(*) FROM events"),
    "Analytics": ("CREATE TABLE actions (action PRIMARY KEY, times)", count, "SELECT sum(times) FROM actions"),
}


def read(group: str, path: str, known: dict[str, int]) -> None:
    create, write, total = GROUPS[group]
    database = sqlite3.connect(path)
    database.execute(create)
    settings = {"group.id": f"{group}-{RUN}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, **settings})
    consumer.subscribe([TOPIC])
    received = 0
    while received < EVENTS:
        events = [json.loads(message.value()) for message in consumer.consume(1000, timeout=0.5) if message.error() is None]
        if events:
            with database:  # One transaction for the batch.
                write(database, events)
            consumer.commit(asynchronous=False)
            received += len(events)
    consumer.close()
    [[known[group]]] = database.execute(total)


def be_active() -> int:
    """Sends what the users do; returns how many events the broker has acknowledged."""
    acknowledged = []
    # Idempotent: sent again after a lost answer, a message is in the topic once.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for number in range(EVENTS):
        event = {"user": f"user-{random.randrange(USERS)}", "action": random.choice(ACTIONS)}
        producer.produce(
            TOPIC, key=event["user"], value=json.dumps(event), on_delivery=lambda error, _: acknowledged.append(error is None)
        )
        if number % 1000 == 999:
            producer.flush(30)
            time.sleep(1)
    return sum(acknowledged)


def main() -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(TOPIC, num_partitions=3)])[TOPIC].result()
    known: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        readers = [threading.Thread(target=read, args=(group, f"{folder}/{group}.db", known), daemon=True) for group in GROUPS]
        for reader in readers:
            reader.start()
        sent = be_active()
        for reader in readers:
            reader.join()
    admin.delete_topics([TOPIC])[TOPIC].result()
    print(f"analytics: {sent} sent; Storage has {known['Storage']} rows, Analytics counted {known['Analytics']}")


if __name__ == "__main__":
    main()
