"""What a command costs after many releases: each with a deployment, its steps, a switch of traffic and its event."""

from __future__ import annotations

from bench.growth import work
from bench.table import Row


def measure(short: bool) -> list[Row]:
    sizes = (10, 300) if short else (10, 100, 1000, 10_000)
    return work.measure("releases", sizes, lambda size: {"releases": size, "events": 0}, rounds=2 if short else 7)
