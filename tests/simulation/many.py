"""Many schedules on all cores. Each process takes every n-th seed; what comes back is only what broke."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.simulate import CHANCE, Recipe, Told, simulate

CHUNK = 100  # seeds that a process takes at a time


@dataclass(slots=True)
class Search:
    """What a search came to."""

    schedules: int = 0
    calls: int = 0
    seconds: float = 0.0
    broken: list[Told] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.schedules / self.seconds if self.seconds else 0.0


def search_many(first: int, count: int, *, recipe: Recipe = CHANCE, processes: int | None = None,
                on_progress: Callable[[Search], None] = lambda search: None) -> Search:
    """Run that many schedules from that seed on."""
    search, began = Search(), time.monotonic()
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    for schedules, calls, broken in _results(chunks, recipe, processes or os.cpu_count() or 1):
        search.schedules, search.calls = search.schedules + schedules, search.calls + calls
        search.seconds = time.monotonic() - began
        search.broken += broken
        on_progress(search)
    return search


def _results(chunks: list[range], recipe: Recipe, processes: int) -> Iterator[tuple[int, int, list[Told]]]:
    if processes == 1:
        yield from (run_chunk(seeds, recipe) for seeds in chunks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_chunk, chunks, [recipe] * len(chunks))


def run_chunk(seeds: Iterable[int], recipe: Recipe = CHANCE) -> tuple[int, int, list[Told]]:
    """Run these in this process. Return how many there were, how many calls they made, and the stories that broke."""
    gc.disable()  # whatever one schedule leaves behind is swept up at once, below: that is quicker
    try:
        told = [simulate(seed, recipe) for seed in seeds]
    finally:
        gc.enable()
        gc.collect()
    return len(told), sum(one.calls for one in told), [one for one in told if one.broken]
