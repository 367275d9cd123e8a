"""Sends a rider's location for every line `NAME LOCATION`, for example `tony south`; ends with the input (Ctrl-D)."""

import json
import sys

from client import BOOTSTRAP, TOPIC
from confluent_kafka import Producer


def report(error, message) -> None:
    if error is not None:
        print(f"not delivered: {error}", file=sys.stderr)


def main() -> None:
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    while True:
        try:
            words = input("> ").split()
        except EOFError:
            break
        if len(words) >= 2:
            rider, location = words[:2]
            producer.produce(
                TOPIC,
                partition=0 if location.lower() == "north" else 1,
                key=rider,
                value=json.dumps({"riderName": rider, "location": location}),
                on_delivery=report,
            )
            producer.poll(0)
        elif words:
            print("a name and a location, please: tony south")
    if producer.flush(30):
        sys.exit("producer: the broker did not take everything")


if __name__ == "__main__":
    main()
