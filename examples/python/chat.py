"""Chat: one room; every gateway is a group of its own and hands each message to its users; storage and notifications work behind.

`ottla demo chat` shows the same with 5,000 users. What `keep` does by hand, and at least once, `ottla sink` does as one command,
and exactly once.
"""

import json
import sqlite3
import threading
import time

from client import BOOTSTRAP
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

USERS, GATEWAYS, MESSAGES = 800, 4, 200
RUN = int(time.time())  # Topics and groups of this run's own, so that the numbers at the end agree.
TOPIC = f"ChatMessages-{RUN}"

KEEPERS = {  # The name of a group, its table, and what it keeps of a message.
    "storage": ("messages (number, author, text)", ":number, :author, :text"),
    "notifications": ("notifications (user, number)", ":mentions, :number"),
}


joined = threading.Semaphore(0)  # Released by each group that has its partitions.


def join(name: str) -> Consumer:
    settings = {"group.id": f"{name}-{RUN}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, **settings})
    consumer.subscribe([TOPIC], on_assign=lambda *_: joined.release())
    return consumer


def gateway(number: int, inboxes: list[list[str]], latencies_ms: list[float]) -> None:
    """Has a group of its own, so that it gets every message; in the group of another gateway it would get a part of them."""
    messages = join(f"gateway-{number}")
    received = 0
    while received < MESSAGES:
        message = messages.poll(0.5)  # One by one: people wait for it.
        if message is not None and message.error() is None:
            said = json.loads(message.value())
            for inbox in inboxes:
                inbox.append(said["text"])
            latencies_ms.append(time.time() * 1000 - said["sent_ms"])
            received += 1
    messages.close()


def keep(name: str, rows: dict[str, int]) -> None:
    """Nobody waits for it, so it takes what has come in half a second, and writes that at once."""
    table, values = KEEPERS[name]
    database = sqlite3.connect(":memory:")  # The name of a file would keep it.
    database.execute(f"CREATE TABLE {table}")
    messages = join(name)
    received = 0
    while received < MESSAGES:
        batch = [json.loads(message.value()) for message in messages.consume(1000, timeout=0.5) if message.error() is None]
        if batch:
            with database:
                database.executemany(f"INSERT INTO {table} VALUES ({values})", batch)
            messages.commit(asynchronous=False)
            received += len(batch)
    messages.close()
    [[rows[name]]] = database.execute(f"SELECT count(*) FROM {table.split()[0]}")


def talk() -> int:
    """Users say something every 10 ms as soon as all are there; returns how many messages the broker has acknowledged."""
    for _ in range(GATEWAYS + len(KEEPERS)):
        joined.acquire()
    acknowledged = []
    # Idempotent: sent again after a lost answer, a message is in the topic once.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for number in range(MESSAGES):
        author, friend = f"user-{number % USERS}", f"user-{number * 7 % USERS}"
        said = {"number": number, "author": author, "mentions": friend, "text": f"hello @{friend}", "sent_ms": time.time() * 1000}
        # One room is one key: its messages have one order, the same for everyone.
        producer.produce(TOPIC, key="room-1", value=json.dumps(said), on_delivery=lambda error, _: acknowledged.append(error is None))
        producer.poll(0.01)
    producer.flush(30)
    return sum(acknowledged)


def main() -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(TOPIC, num_partitions=3)])[TOPIC].result()
    inboxes: list[list[str]] = [[] for _ in range(USERS)]
    latencies_ms: list[float] = []
    rows: dict[str, int] = {}
    threads = [threading.Thread(target=gateway, args=(n, inboxes[n::GATEWAYS], latencies_ms), daemon=True) for n in range(GATEWAYS)]
    threads += [threading.Thread(target=keep, args=(name, rows), daemon=True) for name in KEEPERS]
    for thread in threads:
        thread.start()
    sent = talk()
    for thread in threads:
        thread.join()
    admin.delete_topics([TOPIC])[TOPIC].result()
    latencies_ms.sort()
    p50, p99 = (latencies_ms[len(latencies_ms) * percent // 100] for percent in (50, 99))
    print(f"latency: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(
        f"chat: {sent} sent; {sum(map(len, inboxes))} handed to {USERS} users; "
        f"rows: storage {rows['storage']}, notifications {rows['notifications']}"
    )


if __name__ == "__main__":
    main()
