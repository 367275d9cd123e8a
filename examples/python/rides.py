"""Rides: every rider says once a second where they are; three services read all of it, each into a table of its own.

`ottla demo rides` shows the same at the size of a city. What `service` does by hand, and at least once, `ottla sink` does as
one command, and exactly once.
"""

import json
import sqlite3
import tempfile
import threading
import time

from client import BOOTSTRAP
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

RIDERS, SECONDS = 500, 3
RUN = int(time.time())  # Topics and groups of this run's own, so that the numbers at the end agree.
TOPIC = f"rider-updates-{RUN}"

SERVICES = {  # The name of a group, its table, and what it keeps of an update.
    "fare": ("fares (rider, second, paise)", ":rider, :second, :metres * 2"),
    "analytics": ("speeds (second, km_per_hour)", ":second, :metres * 3.6"),
    "customer": ("positions (rider, second, latitude, longitude)", ":rider, :second, :latitude, :longitude"),
}


def service(group: str, path: str, rows: dict[str, int]) -> None:
    table, values = SERVICES[group]
    database = sqlite3.connect(path)
    database.execute(f"CREATE TABLE {table}")
    settings = {"group.id": f"{group}-{RUN}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, **settings})
    consumer.subscribe([TOPIC])
    received = 0
    while received < RIDERS * SECONDS:
        # Many small messages in, one insert in one transaction out: that is what a database is fast at.
        messages = consumer.consume(1000, timeout=0.5)
        updates = [json.loads(message.value()) for message in messages if message.error() is None]
        if updates:
            with database:
                database.executemany(f"INSERT INTO {table} VALUES ({values})", updates)
            # Killed between the two, a service would insert these again after its next start. orders.py shows the cure.
            consumer.commit(asynchronous=False)
            received += len(updates)
    consumer.close()
    [[rows[group]]] = database.execute(f"SELECT count(*) FROM {table.split()[0]}")


def ride() -> int:
    """Sends a location a second of every rider; returns how many the broker has acknowledged."""
    acknowledged = []
    # Idempotent: sent again after a lost answer, a message is in the topic once.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for second in range(SECONDS):
        for number in range(RIDERS):
            metres = (number + second) % 20
            where = {"latitude": 12.9 + number / 1000, "longitude": 77.5 + second / 1000}
            update = {"rider": f"rider-{number}", "second": second, "metres": metres, **where}
            # The key keeps the updates of one rider in one partition, and so in order.
            producer.produce(
                TOPIC, key=update["rider"], value=json.dumps(update), on_delivery=lambda error, _: acknowledged.append(error is None)
            )
        producer.flush(30)
        time.sleep(1)
    return sum(acknowledged)


def main() -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(TOPIC, num_partitions=4)])[TOPIC].result()
    rows: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        services = [threading.Thread(target=service, args=(group, f"{folder}/{group}.db", rows), daemon=True) for group in SERVICES]
        for thread in services:
            thread.start()
        sent = ride()
        for thread in services:
            thread.join()
    admin.delete_topics([TOPIC])[TOPIC].result()
    print(f"rides: {sent} sent; rows: fare {rows['fare']}, analytics {rows['analytics']}, customer {rows['customer']}")


if __name__ == "__main__":
    main()
