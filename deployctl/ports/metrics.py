"""Metrics: ten-second samples that are kept for a day, and the newest reading, kept in memory.

A sample is what HAProxy counted, never an estimate. Losing samples is always acceptable: nothing that switches traffic
needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from deployctl.dataclass import dataclass
from deployctl.domain.proxy.traffic import Point

if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.traffic import Counters

__all__ = ["ContainerNow", "LiveMetrics", "MetricsStore", "Now", "Point", "Usage", "UsageReader", "sum_of"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Resource usage of one container, as the engine counts it."""

    cpu_seconds: float  # since its start, all cores together
    memory: int  # bytes, without the page cache that the kernel would reclaim
    memory_limit: int | None  # bytes; the whole host's memory if it has no limit, None if unknown


class UsageReader(Protocol):
    def usage(self, container: str) -> Usage | None:
        """Return what a running container uses now; None if it is not running or does not exist."""
    def volume_sizes(self) -> Mapping[str, int]:
        """Return how many bytes each volume of the engine takes, by its name, as far as the engine can tell. It counts
        files, which takes long if there are many."""


@dataclass(frozen=True, slots=True)
class Now:
    """The newest reading of one release. Rates are since the reading before it; None is not measured."""

    at: float  # unix seconds
    requests_per_s: float = 0.0
    failed_per_s: float = 0.0  # no valid response
    answers_5xx_per_s: float = 0.0  # the app's own
    response_ms: float | None = None  # mean of the last 1,024 responses, None if there are none
    cpu_percent: float | None = None  # of one core
    memory: int | None = None  # bytes
    memory_limit: int | None = None
    restarts: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerNow:
    """The newest reading of one container, or the sum of several. None is not measured."""

    cpu_percent: float | None  # of one core
    memory: int  # bytes
    memory_limit: int | None
    restarts: int


def sum_of(containers: Sequence[ContainerNow]) -> ContainerNow | None:
    """Return what they use together, None for none of them."""
    if not containers:
        return None
    percents = [one.cpu_percent for one in containers if one.cpu_percent is not None]
    limits = [one.memory_limit for one in containers if one.memory_limit is not None]
    return ContainerNow(round(sum(percents), 1) if len(percents) == len(containers) else None,
                        sum(one.memory for one in containers),
                        sum(limits) if len(limits) == len(containers) else None,
                        sum(one.restarts for one in containers))


class MetricsStore(Protocol):
    """The samples of a home, for a day. Nothing here raises: what cannot be stored is lost, what cannot be read is
    empty."""

    def add(self, points: Sequence[Point]) -> None:
        """Store them. Of the same release and time the last one counts."""
    def points(self, app: AppName, *, since: float = 0) -> list[Point]:
        """Return those that ended after `since` (unix seconds), of every release, oldest first."""
    def busy(self, app: AppName, release: int, *, until: float, seconds: int) -> list[Point]:
        """Return the newest samples with requests that ended by `until` and make up about that many seconds, oldest
        first."""
    def forget(self, *, before: float) -> None:
        """Delete those that ended before that time."""
    def forget_app(self, app: AppName) -> None:
        """Delete all of that app: a later one of its name numbers its releases from 1 again."""
    def close(self) -> None: ...


MAX_MEASURED_RELEASES = 20_000  # releases that are measured at the same time
MAX_READING_BYTES = MAX_MEASURED_RELEASES * 2048  # bytes that their last readings may take


class LiveMetrics(Protocol):
    """The latest readings. Empty until there is one."""

    @property
    def bytes(self) -> int:
        """Return their size in memory."""
    def latest(self, app: AppName) -> Mapping[int, Now]:
        """Return the newest reading of each counted release, by its number."""
    def containers(self, app: AppName) -> Mapping[InstanceId, ContainerNow]:
        """Return the newest reading of each container of the releases that HAProxy routes to, and of live backing
        components, of the apps that somebody watches."""
    def volumes(self, app: AppName) -> Mapping[str, int]:
        """Return how many bytes each volume of an app takes that somebody watches, by the app's name of it, as last
        counted."""
    def totals(self) -> Mapping[tuple[AppName, int], Counters]:
        """Return each release's counts so far, across restarts of HAProxy and of deployctl: a number never
        decreases."""
