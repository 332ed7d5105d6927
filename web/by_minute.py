"""How often each person did something lately, whichever session or token they came with."""

from __future__ import annotations

from collections import deque
from threading import Lock

MINUTE = 60.0  # seconds


class ByMinute:
    """At most so many times a minute for each person: as many people as there are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[str, deque[float]] = {}
        self._lock = Lock()

    def count(self, person: str, now: float) -> float:
        """Count one at that second and return 0, or return for how many seconds that person has had enough."""
        with self._lock:
            times = self._times.setdefault(person, deque(maxlen=self._most))
            if len(times) == self._most and now - times[0] < MINUTE:
                return MINUTE - (now - times[0])
            times.append(now)
            return 0.0
