"""A million requests with a switch each second: half on kept connections, half on a connection each.

Takes about 85 minutes. A line a minute on standard error shows progress; Ctrl-C ends it after the switch in progress,
and the figures so far are printed.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from bench.served import resident_mb
from bench.table import Row
from bench.world import World
from deployctl.demo.visitor_count import Count
from deployctl.demo.visitors import Visitors
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import DeployctlError
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade

APP = AppName("long")
FIRST = 1  # v1's release
REQUESTS = 1_000_000
RATE = 200.0  # requests a second, of both kinds of visitors together
PACE = 1.0  # seconds from the start of one switch to that of the next
TOLD_EVERY = 60.0  # seconds between two lines of progress


@dataclass(slots=True)
class Switched:
    """What the driver measured: how long each switch took, in milliseconds, and which failed."""

    took_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def note(self, switch: Callable[[], float]) -> None:
        """A switch that fails is counted and the run continues: what clients get then is the question."""
        try:
            self.took_ms.append(switch())
        except DeployctlError as e:
            self.failed.append(e.message)
            _say(f"switch {len(self.took_ms) + len(self.failed):,} failed: {e.message}")


def measure_long(world: World, *, requests: int) -> list[Row]:
    port, seconds = world.add_app(APP, extra="keep_warm = 1"), requests / RATE
    with closing(world.services()) as s:
        for version in ("v1", "v2"):
            upgrade(APP, Version(version), s)
    switched = Switched()
    with ExitStack() as stack:
        stopped = stack.enter_context(_told_to_stop())
        crowds = [stack.enter_context(Visitors(f"http://127.0.0.1:{port}/", RATE / 2, keep_alive=keep_alive))
                  for keep_alive in (True, False)]
        _drive(world, switched, crowds, stopped, seconds)
    return _rows(switched, [crowd.count for crowd in crowds], requests)


def _drive(world: World, switched: Switched, crowds: list[Visitors], stopped: threading.Event, seconds: float) -> None:
    """Switch back and forth at that rate until the time is over or it is stopped."""
    began = time.monotonic()
    due, told = began, began + TOLD_EVERY
    while due < began + seconds and not stopped.wait(max(0.0, due - time.monotonic())):
        switched.note(lambda: _switch(world))
        due = max(due + PACE, time.monotonic())
        if due > told:
            told += TOLD_EVERY
            _say(_progress(time.monotonic() - began, seconds, switched, [crowd.so_far() for crowd in crowds]))
    stopped.wait(max(0.0, began + seconds - time.monotonic()))


def _switch(world: World) -> float:
    """Switch to the version that is not live, with services of its own as a command would have; return the
    milliseconds."""
    with closing(world.services()) as s:
        app = s.ledger.find_app(APP)
        went_back = app is not None and app.active == FIRST
        began = time.perf_counter()
        (undo if went_back else rollback)(APP, s)
        return (time.perf_counter() - began) * 1000


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets; the second one acts as it would have without this."""
    stopped, numbers = threading.Event(), (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.getsignal(number) for number in numbers}

    def stop(*_: object) -> None:
        stopped.set()
        for number in numbers:
            signal.signal(number, former[number])

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        stop()


def _progress(seconds: float, of: float, switched: Switched, counts: list[Count]) -> str:
    sent, lost = sum(count.sent for count in counts), sum(count.lost for count in counts)
    gap = max(count.longest_gap_ms for count in counts)
    return (f"{seconds / 60:.0f} of {of / 60:.0f} min: {sent:,} requests, {lost} lost, longest gap {gap:.0f} ms, "
            f"{len(switched.took_ms):,} switches, {len(switched.failed)} failed, {resident_mb(os.getpid()):.0f} MB")


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _rows(switched: Switched, counts: list[Count], requests: int) -> list[Row]:
    rows = [
        Row("requests sent", "requests", [sum(count.sent for count in counts)], f"≥ {requests:,}", "min", requests, floor=True),
        Row("switches that failed", "switches", [len(switched.failed)], "0", "max", 0),
        Row("a switch, one a second", "ms", switched.took_ms or [math.nan]),
    ]
    for count, how in zip(counts, ("with keep-alive", "a connection each"), strict=True):
        rows += [
            Row(f"lost of {count.sent:,} requests, {how}", "requests", [count.lost], "0", "max", 0),
            Row(f"answered 5xx by the app, {how}", "requests", [count.app_5xx], "0", "max", 0),
            Row(f"longest time without a good answer, {how}", "ms", [count.longest_gap_ms]),
            Row(f"answered, from when it was due: p50, {how}", "ms", [count.p50_ms or math.nan]),
            Row(f"answered, from when it was due: p99, {how}", "ms", [count.p99_ms or math.nan]),
        ]
    return rows
