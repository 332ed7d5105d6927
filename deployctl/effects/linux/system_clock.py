"""The real clock. Durations are monotonic; wall time is only ever shown or stored."""

from __future__ import annotations

import time

from deployctl.stdlib import UTC, datetime


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> str:
        return _written(datetime.now(UTC))

    @staticmethod
    def written(at: float) -> str:
        """Return a Unix time as `utc` writes it."""
        return _written(datetime.fromtimestamp(at, UTC))

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
