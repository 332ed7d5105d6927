"""The threads that handle requests: a few at first, one more whenever work waits and none is idle; forty-eight idle ones
take a megabyte, and most homes are viewed by one person.

Connections that wait for a thread take turns by client: one that sends a thousand requests waits only for itself.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any, Protocol

from waitress.task import ThreadedTaskDispatcher

from deployctl_web.http.admission import Seat

FIRST = 4


class Seated(Protocol):
    @property
    def seat(self) -> Seat: ...


class FairQueue:
    """Stands in for waitress's deque, under its own lock. Users and strangers alternate, and within each group the one
    that has waited longest for a turn is next."""

    def __init__(self) -> None:
        self._people: dict[str, deque[Seated]] = {}
        self._strangers: dict[str, deque[Seated]] = {}
        self._waiting, self._people_next = 0, True

    def __len__(self) -> int:
        return self._waiting

    def append(self, connection: Seated) -> None:
        seat = connection.seat
        lines, whose = (self._strangers, seat.visitor) if seat.person is None else (self._people, seat.person)
        lines.setdefault(whose, deque()).append(connection)
        self._waiting += 1

    def popleft(self) -> Seated:
        first, second = (self._people, self._strangers) if self._people_next else (self._strangers, self._people)
        lines = first or second
        self._people_next = lines is self._strangers
        whose = next(iter(lines))
        line = lines.pop(whose)
        if len(line) > 1:
            lines[whose] = line  # behind all others
        self._waiting -= 1
        return line.popleft()


class Threads(ThreadedTaskDispatcher):
    """At most that many. Once started they stay: a client with many parallel requests will return."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.over = most, False
        waiting: Any = self
        waiting.queue = FairQueue()
        self.set_thread_count(min(FIRST, most))

    def add_task(self, task: Any) -> None:
        super().add_task(task)
        with self.lock:
            idle = len(self.threads) - self.stop_count - self.active_count
            if len(self.queue) > idle and len(self.threads) < self.most and not self.over:
                self._start_one()

    def _start_one(self) -> None:
        """Start one; the caller holds the lock. If the system provides none, the existing ones do the work."""
        number = next(number for number in count() if number not in self.threads)
        self.threads.add(number)
        self.active_count += 1  # until it waits for work
        try:
            self.start_new_thread(self.handler_thread, number)
        except RuntimeError:
            self.threads.discard(number)
            self.active_count -= 1

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self.over = True
        return super().shutdown(cancel_pending, timeout)  # type: ignore[arg-type]  # seconds, whole or not
