"""A member in a process of its own, to be killed: prints a JSON line when what it owns changes, and for each message."""

import json
import sys

from support.member import Member


def main() -> None:
    topic, group = sys.argv[1:]
    member = Member(topic, group, **{"enable.auto.commit": False})
    told = None
    while True:
        member.poll()
        if member.owned != told:
            told = None if member.owned is None else set(member.owned)
            print(json.dumps({"owned": None if told is None else sorted(told)}), flush=True)
        for message in member.messages:
            print(json.dumps({"value": message.value().decode()}), flush=True)
            member.consumer.commit(message, asynchronous=False)  # After the line: what is committed has been told.
        member.messages.clear()


if __name__ == "__main__":
    main()
