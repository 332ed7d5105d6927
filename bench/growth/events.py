"""What a command spends after many events, with ten releases."""

from __future__ import annotations

from bench.growth import work
from bench.table import Row


def measure(short: bool) -> list[Row]:
    sizes = (100, 3000) if short else (100, 1000, 10_000, 100_000)
    return work.measure("events", sizes, lambda size: {"releases": 10, "events": size}, rounds=2 if short else 7)
