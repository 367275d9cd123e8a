"""A broker process of a test's own, for tests that kill it: `ottla serve` on a folder and, after its first start, on one port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

READY_SECONDS = 60.0


class Broker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = "127.0.0.1:0"  # The first start picks a port; every later one uses it again.
        self.starts = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when the broker has said `ready`; fails with what it wrote when it ends or stays silent."""
        self.starts += 1
        log = self.folder.parent / f"{self.folder.name}-{self.starts}.stderr"
        self.process = subprocess.Popen(
            [os.environ["OTTLA_BIN"], "serve", "--data-dir", str(self.folder), "--listen", self.address],
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )
        watchdog = threading.Timer(READY_SECONDS, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                if line.startswith("ready"):
                    self.address = re.search(r"127\.0\.0\.1:\d+", line).group()
                    return
        finally:
            watchdog.cancel()
        raise AssertionError(f"start {self.starts} did not become ready (exit {self.process.wait()}):\n{log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(READY_SECONDS)
