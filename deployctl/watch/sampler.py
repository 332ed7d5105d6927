"""Collects metrics while `deployctl serve` runs: HAProxy's counters once a second while somebody watches, else every
ten.

Every ten seconds a sample for each release is stored. What does not respond is retried later; nothing that switches
traffic needs what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from itertools import islice
from threading import Event, Thread

from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.request_counts import CountedServer, RequestCounts, added, counted_between, points_of
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError
from deployctl.memory import size_of
from deployctl.ports import Clock, Services
from deployctl.ports.metrics import MAX_MEASURED_RELEASES, ContainerNow, LiveMetrics, Now
from deployctl.watch.counters import Gauges, unix
from deployctl.watch.volume_sizes import VolumeSizes

FAST_INTERVAL = 1.0
POINT_SECONDS = 10  # seconds of a sample
MAX_POINT_SECONDS = 60  # seconds that a sample may cover after failed readings; beyond that there is a gap
AWAY = 10.0  # seconds before what did not respond is retried: the reading waits for the proxy's lock
STOP_WAIT_SECONDS = 5.0  # seconds that `stop` waits for a reading in progress


class MetricsSampler(LiveMetrics):
    """Three threads: HAProxy's counters, resource usage of containers, and sizes of volumes. `connect` creates services for
    each of them. `watched` tells whether somebody watches, `looked_at` which apps (None: none at all)."""

    def __init__(self, connect: Callable[[], Services], *, watched: Callable[[], bool] = bool) -> None:
        self.watched = watched
        self.looked_at: Callable[[], Collection[AppName] | None] = lambda: None
        self._connect = connect
        self._ended, self._threads = Event(), list[Thread]()
        self._listeners: list[Callable[[], object]] = []
        self._volumes = VolumeSizes(lambda: self.looked_at() if self.watched() else ())
        self._gauges = Gauges(lambda: self.watched(), lambda: self.looked_at())
        self._tally: RequestCounts | None = None  # HAProxy's counters at the last reading
        self._read_at = self._retry_at = float("-inf")  # on the monotonic clock
        self._span_began: int | None = None  # unix seconds, a multiple of SPAN
        self._whole = False  # it was covered from its beginning
        self._span: dict[CountedServer, Counters] = {}
        self._latest: dict[AppName, dict[int, Now]] = {}

    # -- for others -----------------------------------------------------------------------------------------------
    def latest(self, app: AppName) -> Mapping[int, Now]:
        return self._gauges.completed(app, self._latest.get(app, {}))

    def containers(self, app: AppName) -> Mapping[InstanceId, ContainerNow]:
        at = max((now.at for some in self._latest.values() for now in some.values()), default=None)
        return {} if at is None else self._gauges.containers(app, at)

    def volumes(self, app: AppName) -> Mapping[str, int]:
        return self._volumes.of(app)

    def totals(self) -> Mapping[CountedServer, Counters]:
        return self._tally or {}

    @property
    def bytes(self) -> int:
        """Return the memory used by the last readings: kept as long as what they are about exists."""
        return size_of((self._tally, self._span, self._latest)) + self._gauges.bytes + self._volumes.bytes

    def listen(self, callback: Callable[[], object]) -> None:
        """Call it after each reading, in the sampler's own thread."""
        self._listeners.append(callback)

    def start(self) -> None:
        """Collect until `stop`, in daemon threads."""
        works = {"meter": self.tick, "gauges": self._gauges.tick, "volume-sizes": self._volumes.tick}
        self._threads = [Thread(target=self._work, args=[tick], name=name, daemon=True) for name, tick in works.items()]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads; one that waits for a hanging engine is left to the end of the process."""
        self._ended.set()
        for thread in self._threads:
            thread.join(STOP_WAIT_SECONDS)

    def _work(self, tick: Callable[[Services], object]) -> None:
        while not self._ended.is_set():
            try:
                s = self._connect()
            except DeployctlError:
                self._ended.wait(AWAY)
                continue
            try:
                while not self._ended.is_set():
                    with suppress(DeployctlError):  # a ledger that is unavailable for a while
                        tick(s)
                    self._ended.wait(_until_next_second(s.clock))
            finally:
                s.close()

    # -- reading --------------------------------------------------------------------------------------------------
    def tick(self, s: Services) -> None:
        """Read if it is due. Every DeployctlError is survived."""
        now, moment = s.clock.now(), unix(s.clock)
        if now < self._retry_at or not self._is_due(now, moment):
            return
        try:
            counters = s.traffic.counters()
        except DeployctlError:
            self._retry_at = now + AWAY
            self._latest = {}
            return
        self._take(counters, now, moment)
        if int(moment) // POINT_SECONDS * POINT_SECONDS != self._span_began:
            self._end_span(int(moment) // POINT_SECONDS * POINT_SECONDS, s)
        for callback in self._listeners:
            callback()

    def _is_due(self, now: float, moment: float) -> bool:
        """The first rate needs two readings, so the second one comes soon."""
        return self.watched() or not self._latest or int(moment) // POINT_SECONDS * POINT_SECONDS != self._span_began

    def _take(self, tally: RequestCounts, now: float, moment: float) -> None:
        tally = dict(islice(tally.items(), MAX_MEASURED_RELEASES))
        before, self._tally, passed = self._tally, tally, now - self._read_at
        self._read_at = now
        if before is None or passed <= 0:
            return
        counted = counted_between(before, tally)
        self._span = added(self._span, counted)
        latest: dict[AppName, dict[int, Now]] = {}
        for (app, release), one in counted.items():
            latest.setdefault(app, {})[release] = _now(one, tally[app, release], passed, moment)
        self._latest = latest

    def _end_span(self, end: int, s: Services) -> None:
        """Store a sample for each release, unless it is unknown how the counts are spread over time."""
        began, span, whole = self._span_began, self._span, self._whole
        self._span_began, self._span, self._whole = end, {}, began is not None
        if began is not None and whole and 0 < end - began <= MAX_POINT_SECONDS:
            s.meter.add(points_of(span, at=end, seconds=end - began, serving=_serving(s)))


def _now(counted: Counters, counters: Counters, passed: float, at: float) -> Now:
    return Now(
        at=at, requests_per_s=round(counted.requests / passed, 2), failed_per_s=round(counted.failed / passed, 2),
        answers_5xx_per_s=round(counted.answers_5xx / passed, 2),
        response_ms=counters.response_ms if counters.requests > counters.failed else None,
    )  # fmt: skip


def _serving(s: Services) -> Mapping[AppName, int]:
    try:
        return s.traffic.routes()
    except DeployctlError:
        return {}


def _until_next_second(clock: Clock) -> float:
    """Return how long to wait so that samples end at whole tens of seconds, a moment after."""
    return FAST_INTERVAL - unix(clock) % FAST_INTERVAL + 0.01
