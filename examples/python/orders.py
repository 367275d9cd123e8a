"""Orders: a queue shared by three processors, one of which is killed while it works; each order counts once nevertheless.

`ottla demo orders` shows the same live. The trick, an offset that lives in the transaction of its results, is what `ottla sink`
is built on.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from client import BOOTSTRAP
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

ORDERS, PARTITIONS = 600, 6


def process(name: str, run: str, path: str) -> None:
    """One member of the group OrderProcessors, in a process of its own; ends when all orders are in the database.

    The first is killed when a third is done.
    """
    database = sqlite3.connect(path, timeout=30)
    settings = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 6000}
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"OrderProcessors-{run}", **settings})
    consumer.subscribe([f"OrderRequests-{run}"])
    while count(database) < ORDERS:
        messages = [message for message in consumer.consume(20, timeout=0.2) if message.error() is None]
        if not messages:
            continue
        time.sleep(len(messages) * 0.005)  # The work.
        with database:  # One transaction: results and offsets are both in the database, or neither.
            for message in messages:
                order, partition, offset = json.loads(message.value()), message.partition(), message.offset()
                # An order that comes again, because its processor was killed, changes no row: the offset is beyond it already.
                move_on = "UPDATE offsets SET next = ? WHERE partition = ? AND next <= ?"
                if database.execute(move_on, (offset + 1, partition, offset)).rowcount == 1:
                    database.execute("INSERT INTO results VALUES (?, ?)", (order["number"], order["amount"]))
        if name == "first" and count(database) >= ORDERS // 3:
            os.kill(os.getpid(), signal.SIGKILL)  # The worst moment: the results are in the database, and Kafka has not heard of it.
        # Kafka's own offset only says where to read on: it may be behind the database's, but never beyond.
        consumer.commit()
    consumer.close()


def count(database: sqlite3.Connection) -> int:
    [[rows]] = database.execute("SELECT count(*) FROM results")
    return rows


def place_orders(topic: str) -> int:
    """Returns what all the orders come to, as far as the broker has acknowledged them."""
    acknowledged = []

    def placed(error, message) -> None:
        if error is None:
            acknowledged.append(json.loads(message.value())["amount"])

    # Idempotent: sent again after a lost answer, a message is in the topic once.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for number in range(ORDERS):
        order = {"number": number, "amount": 100 + number % 50}
        producer.produce(topic, json.dumps(order), partition=number % PARTITIONS, on_delivery=placed)
    producer.flush(30)
    return sum(acknowledged)


def main() -> None:
    run = str(int(time.time()))  # A topic and a group of this run's own, so that the numbers at the end agree.
    topic = f"OrderRequests-{run}"
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "orders.db")
        database = sqlite3.connect(path, timeout=30)
        with database:
            database.execute("CREATE TABLE results (number, amount)")
            database.execute("CREATE TABLE offsets (partition PRIMARY KEY, next)")
            database.executemany("INSERT INTO offsets VALUES (?, 0)", [(partition,) for partition in range(PARTITIONS)])
        ordered = place_orders(topic)

        def start(name: str) -> subprocess.Popen:
            return subprocess.Popen([sys.executable, __file__, name, run, path])

        first = start("first")
        while count(database) < ORDERS // 10:
            time.sleep(0.02)
        others = [start("second"), start("third")]
        first.wait()
        print("the first processor is killed; in six seconds the group gives its orders to the others", flush=True)
        for processor in others:
            processor.wait()
        [[rows, orders, amount]] = database.execute("SELECT count(*), count(DISTINCT number), sum(amount) FROM results")
        database.close()
    admin.delete_topics([topic])[topic].result()
    print(f"orders: {ORDERS} sent for {ordered}; {rows} rows of {orders} orders for {amount}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        process(*sys.argv[1:])
    else:
        main()
