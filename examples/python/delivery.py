"""Delivery: partners say where they are, a partition for each region; a customer follows one of them, storage keeps the history.

`ottla demo delivery` shows the same with 100,000 partners. What `store` does by hand, and at least once, `ottla sink` does as one
command for each topic, and exactly once.
"""

import json
import sqlite3
import threading
import time

from client import BOOTSTRAP
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

REGIONS = ["north", "east", "south", "west"]
PARTNERS, HOTELS, SECONDS = 400, 10, 3
FOLLOWED, ITS_REGION = "partner-42", REGIONS.index("south")

RUN = int(time.time())  # Topics and groups of this run's own, so that the numbers at the end agree.
LOCATIONS = f"delivery-location-updates-{RUN}"
HOTEL_UPDATES = f"hotel-updates-{RUN}"

INSERTS = {
    LOCATIONS: "INSERT INTO history VALUES (:partner, :region, :second, :latitude, :longitude)",
    HOTEL_UPDATES: "INSERT INTO hotel_updates VALUES (:hotel, :second, :ready)",
}


def follow(seen: list[dict]) -> None:
    """The customer: no group shares the work here, so it names the partition, and reads no other region."""
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"delivery-customer-{RUN}", "enable.auto.commit": False})
    consumer.assign([TopicPartition(LOCATIONS, ITS_REGION, OFFSET_BEGINNING)])
    while len(seen) < SECONDS:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None and message.key() == FOLLOWED.encode():
            seen.append(json.loads(message.value()))
            print(f"{FOLLOWED} is at {seen[-1]['latitude']:.3f}, {seen[-1]['longitude']:.3f}", flush=True)
    consumer.close()


def store(rows: dict[str, int]) -> None:
    """Storage: both topics into their tables, a batch in a transaction."""
    database = sqlite3.connect(":memory:")  # The name of a file would keep it.
    database.execute("CREATE TABLE history (partner, region, second, latitude, longitude)")
    database.execute("CREATE TABLE hotel_updates (hotel, second, ready)")
    settings = {"group.id": f"delivery-storage-{RUN}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, **settings})
    consumer.subscribe([LOCATIONS, HOTEL_UPDATES])
    received = 0
    while received < (PARTNERS + HOTELS) * SECONDS:
        messages = [message for message in consumer.consume(1000, timeout=0.5) if message.error() is None]
        if messages:
            with database:
                for topic, insert in INSERTS.items():
                    database.executemany(insert, [json.loads(m.value()) for m in messages if m.topic() == topic])
            consumer.commit(asynchronous=False)
            received += len(messages)
    consumer.close()
    [[rows["history"]]] = database.execute("SELECT count(*) FROM history")
    [[rows["hotel_updates"]]] = database.execute("SELECT count(*) FROM hotel_updates")


def deliver() -> dict[str, int]:
    """Sends a location a second of every partner and an update of every hotel; returns how many of each topic are acknowledged."""
    acknowledged = {LOCATIONS: 0, HOTEL_UPDATES: 0}

    def delivered(error, message) -> None:
        if error is None:
            acknowledged[message.topic()] += 1

    # Idempotent: sent again after a lost answer, a message is in the topic once.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for second in range(SECONDS):
        for number in range(PARTNERS):
            region = number % len(REGIONS)
            where = {"latitude": 18.9 + number / 1000, "longitude": 72.8 + second / 1000}
            update = {"partner": f"partner-{number}", "region": REGIONS[region], "second": second, **where}
            producer.produce(LOCATIONS, json.dumps(update), key=update["partner"], partition=region, on_delivery=delivered)
        for number in range(HOTELS):
            update = {"hotel": f"hotel-{number}", "second": second, "ready": second + number}
            producer.produce(HOTEL_UPDATES, json.dumps(update), key=update["hotel"], on_delivery=delivered)
        producer.flush(30)
        time.sleep(1)
    return acknowledged


def main() -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    topics = [NewTopic(LOCATIONS, num_partitions=len(REGIONS)), NewTopic(HOTEL_UPDATES, num_partitions=1)]
    for created in admin.create_topics(topics).values():
        created.result()
    seen: list[dict] = []
    rows: dict[str, int] = {}
    customer = threading.Thread(target=follow, args=(seen,), daemon=True)
    storage = threading.Thread(target=store, args=(rows,), daemon=True)
    customer.start()
    storage.start()
    sent = deliver()
    customer.join()
    storage.join()
    for deleted in admin.delete_topics([LOCATIONS, HOTEL_UPDATES]).values():
        deleted.result()
    print(
        f"delivery: {sent[LOCATIONS]} locations sent, {rows['history']} rows; {sent[HOTEL_UPDATES]} hotel updates sent, "
        f"{rows['hotel_updates']} rows; the customer saw {FOLLOWED} {len(seen)} times"
    )


if __name__ == "__main__":
    main()
