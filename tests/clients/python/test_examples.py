"""The programs in examples/python do what their README says: run as a user runs them, with lines typed into the producer."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.cluster import admin, eventually, unique

FOLDER = Path(__file__).parents[3] / "examples" / "python"

# What was sent, what each group read and what its tables hold are counted apart by the programs, and have to agree.
SUMMARIES = {
    "rides": "rides: 1500 sent; rows: fare 1500, analytics 1500, customer 1500",
    "delivery": "delivery: 1200 locations sent, 1200 rows; 30 hotel updates sent, 30 rows; the customer saw partner-42 3 times",
    "chat": "chat: 200 sent; 160000 handed to 800 users; rows: storage 200, notifications 200",
    "orders": "orders: 600 sent for 74700; 600 rows of 600 orders for 74700",
    "analytics": "analytics: 3000 sent; Storage has 3000 rows, Analytics counted 3000",
}


def run(script: str, *args: str, stdin: str = "") -> str:
    done = subprocess.run([sys.executable, script, *args], cwd=FOLDER, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Running:
    """A consumer in a process of its own; `lines` grows with what it prints."""

    def __init__(self, group: str) -> None:
        self.child = subprocess.Popen([sys.executable, "consumer.py", group], cwd=FOLDER, stdout=subprocess.PIPE, text=True, env=os.environ)
        self.lines: list[str] = []
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def stop(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(30)


def test_the_python_example():
    client = admin()
    if "rider-updates" in client.list_topics(timeout=10).topics:
        client.delete_topics(["rider-updates"])["rider-updates"].result(30)
        eventually(lambda: "rider-updates" not in client.list_topics(timeout=10).topics, "an earlier run left nothing behind")
    assert run("admin.py") == "created topic rider-updates with 2 partitions\n"
    assert run("admin.py") == "topic rider-updates is there already\n"

    shared, other = unique("user"), unique("user")
    consumers = [Running(shared), Running(shared), Running(other)]
    try:
        typed = run("producer.py", stdin="tony south\nann north\nnonsense\n\ntony north\n")
        assert typed.startswith("> ")
        assert "a name and a location, please" in typed

        def expected(group: str) -> set[str]:
            return {
                f'{group}: [rider-updates]: PART:0: {{"riderName": "ann", "location": "north"}}',
                f'{group}: [rider-updates]: PART:0: {{"riderName": "tony", "location": "north"}}',
                f'{group}: [rider-updates]: PART:1: {{"riderName": "tony", "location": "south"}}',
            }

        def complete() -> bool:
            consumers[0].listener.join(0.05)
            return set(consumers[0].lines + consumers[1].lines) == expected(shared) and set(consumers[2].lines) == expected(other)

        eventually(complete, lambda: str([c.lines for c in consumers]))
        assert [consumer.stop() for consumer in consumers] == [0, 0, 0]
    finally:
        for consumer in consumers:
            consumer.child.kill()


@pytest.mark.parametrize("scenario", SUMMARIES)
def test_what_was_sent_is_in_every_table_once(scenario: str):
    assert run(f"{scenario}.py").splitlines()[-1] == SUMMARIES[scenario]
