"""The threads that handle requests: a few at first, one more whenever work waits and none is idle.

Forty-eight idle ones take a megabyte, and most homes are viewed by one person.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from deployctl_web.http.fair_queue import FairQueue

FIRST = 4


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
