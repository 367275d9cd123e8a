"""Prints every update that reaches this member of the group named on the command line; ends with Ctrl-C."""

import signal
import sys

from client import BOOTSTRAP, TOPIC
from confluent_kafka import Consumer, KafkaError


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python consumer.py GROUP")
    group = sys.argv[1]
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])

    running = True

    def stop(*_) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    while running:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error() is None:
            value = message.value().decode()
            print(f"{group}: [{message.topic()}]: PART:{message.partition()}: {value}", flush=True)
        elif message.error().code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            print(f"consumer: {message.error()}", file=sys.stderr)
    # Leaving by name hands the partitions to the other members at once; a killed member keeps them until its session ends.
    consumer.close()


if __name__ == "__main__":
    main()
