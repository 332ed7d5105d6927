"""The real clock. Durations are monotonic; wall time is only ever shown or stored."""

from __future__ import annotations

import time

from deployctl.stdlib import UTC, datetime


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))
