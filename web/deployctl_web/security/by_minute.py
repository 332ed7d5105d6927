"""How often each user or address did something recently, whichever session or token they used."""

from __future__ import annotations

from collections import deque
from threading import Lock

from deployctl.memory import Bounded

WINDOW_SECONDS = 60.0  # seconds
MAX_WINDOW_BYTES = 2**20  # bytes


class ByMinute:
    """At most that many times a minute for each; if there is no room for more, the least recent one is forgotten."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times = Bounded[str, deque[float]](MAX_WINDOW_BYTES)
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        return self._times.bytes

    def clear(self) -> None:
        with self._lock:
            self._times.clear()

    def count(self, whose: str, now: float) -> float:
        """Count one at that second and return 0, or return for how many seconds they are blocked."""
        with self._lock:
            times = self._times.find(whose)
            times = deque(maxlen=self.most) if times is None else times
            if len(times) >= self.most and now - times[0] < WINDOW_SECONDS:
                return WINDOW_SECONDS - (now - times[0])
            times.append(now)
            self._times.put(whose, times)
            return 0.0
