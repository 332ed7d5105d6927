"""A clock that moves only when somebody sleeps, and runs scheduled events at their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def unix(at: str) -> float:
    """Return Unix time, in seconds, of an ISO 8601 timestamp."""
    return datetime.fromisoformat(at).timestamp()


class FakeClock:
    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._begun = now
        self._events: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> float:
        return self._now

    def utc(self) -> str:
        at = _EPOCH + timedelta(seconds=self._now - self._begun)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def sleep(self, seconds: float) -> None:
        """Move on, and run what was scheduled in between in order."""
        until = self._now + max(0.0, seconds)
        while self._events and self._events[0][0] <= until:
            at, _, happen = self._events.pop(0)
            self._now = max(self._now, at)
            happen()
        self._now = max(self._now, until)

    def after(self, seconds: float, happen: Callable[[], object]) -> None:
        """Run it once that many seconds have been slept from now."""
        self._events.append((self._now + seconds, len(self._events), happen))
        self._events.sort(key=lambda event: event[:2])
