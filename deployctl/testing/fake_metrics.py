"""Metrics in memory: stored samples and the newest readings in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters
from deployctl.ports.metrics import ContainerNow, LiveMetrics, MetricsStore, Now, Point


class FakeMetrics(MetricsStore, LiveMetrics):
    """`now` and `counted` are the readings set by a test."""

    def __init__(self) -> None:
        self.kept: dict[tuple[AppName, int, int], Point] = {}
        self.now: dict[AppName, dict[int, Now]] = {}
        self.used: dict[AppName, dict[InstanceId, ContainerNow]] = {}
        self.sizes: dict[AppName, dict[str, int]] = {}
        self.counted: dict[tuple[AppName, int], Counters] = {}

    bytes = 0

    # -- the metrics store ----------------------------------------------------------------------------------------
    def add(self, points: Sequence[Point]) -> None:
        self.kept |= {(point.app, point.release, point.at): point for point in points}

    def points(self, app: AppName, *, since: float = 0) -> list[Point]:
        found = (point for point in self.kept.values() if point.app == app and point.at > since)
        return sorted(found, key=lambda point: (point.at, point.release))

    def busy(self, app: AppName, release: int, *, until: float, seconds: int) -> list[Point]:
        found, covered = [], 0
        for point in reversed(self.points(app)):
            if point.release == release and point.requests and point.at <= until and covered < seconds:
                found.append(point)
                covered += point.seconds
        return found[::-1]

    def forget(self, *, before: float) -> None:
        self.kept = {key: point for key, point in self.kept.items() if point.at >= before}

    def forget_app(self, app: AppName) -> None:
        self.kept = {key: point for key, point in self.kept.items() if point.app != app}

    def close(self) -> None:
        """Nothing is open."""

    # -- the newest readings --------------------------------------------------------------------------------------
    def latest(self, app: AppName) -> Mapping[int, Now]:
        return self.now.get(app, {})

    def containers(self, app: AppName) -> Mapping[InstanceId, ContainerNow]:
        return self.used.get(app, {})

    def volumes(self, app: AppName) -> Mapping[str, int]:
        return self.sizes.get(app, {})

    def totals(self) -> Mapping[tuple[AppName, int], Counters]:
        return self.counted
