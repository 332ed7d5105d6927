"""What is measured: points of ten seconds that are kept for a day, and the newest reading, kept in memory.

A point is what HAProxy counted, never an estimate. Losing points is always allowed: nothing that moves traffic needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from deployctl.dataclass import dataclass
from deployctl.domain.proxy.traffic import Point

if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.traffic import Counters

__all__ = ["LiveMetrics", "MetricsStore", "Now", "Point", "Usage", "UsageReader"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container takes, as the engine counts it."""

    cpu_seconds: float  # since its start, all cores together
    memory: int  # bytes, without the page cache that the kernel would give back
    memory_limit: int | None  # bytes; the whole host's memory where it has no limit, None where nobody says


class UsageReader(Protocol):
    def usage(self, container: str) -> Usage | None:
        """Return what a running container takes, at once; None when it does not run or is not there."""


@dataclass(frozen=True, slots=True)
class Now:
    """The newest reading of one release. Rates are since the reading before it; None is what nobody has measured."""

    at: float  # unix seconds
    requests_per_s: float = 0.0
    failed_per_s: float = 0.0  # no valid answer
    answers_5xx_per_s: float = 0.0  # the app's own
    response_ms: float | None = None  # mean of the last 1,024 answers, None when it has given none
    cpu_percent: float | None = None  # of one core
    memory: int | None = None  # bytes
    memory_limit: int | None = None
    restarts: int | None = None


class MetricsStore(Protocol):
    """The points of a home, for a day. Nothing here raises: what cannot be kept is lost, what cannot be read is empty."""

    def add(self, points: Sequence[Point]) -> None:
        """Keep them. Of the same release and moment the last one counts."""
    def points(self, app: AppName, *, since: float = 0) -> list[Point]:
        """Return what ended after `since` (unix seconds), of every release, the oldest first."""
    def busy(self, app: AppName, release: int, *, until: float, seconds: int) -> list[Point]:
        """Return the newest points with requests that ended by `until` and make up about so many seconds, oldest first."""
    def forget(self, *, before: float) -> None:
        """Drop what ended before that moment."""
    def forget_app(self, app: AppName) -> None:
        """Drop all of that app: the next one of its name numbers its releases from 1 again."""
    def close(self) -> None: ...


MAX_MEASURED_RELEASES = 20_000  # releases that are measured at the same time
MAX_READING_BYTES = MAX_MEASURED_RELEASES * 2048  # bytes that what was read of them last may take


class LiveMetrics(Protocol):
    """What was measured last. Empty while nothing has been read."""

    @property
    def bytes(self) -> int:
        """Return what that takes in memory."""
    def latest(self, app: AppName) -> Mapping[int, Now]:
        """Return the newest reading of each release that was counted, by its number."""
    def totals(self) -> Mapping[tuple[AppName, int], Counters]:
        """Return what was counted of each release so far, over restarts of HAProxy and of us: a number never goes down."""
