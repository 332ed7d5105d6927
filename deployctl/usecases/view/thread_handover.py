"""Between threads that read and the one that takes what they read: they are never far ahead of it, and they end with it."""

from __future__ import annotations

from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, TypeVar

CLOSE_CHECK_SECONDS = 0.2  # seconds within which who waits for room hears that nobody takes any more

T = TypeVar("T")


class Left(Exception):
    """Nobody takes any more what is read: stop reading."""


class Handover(Generic[T]):
    """`room` is how many entries may wait to be taken."""

    def __init__(self, room: int) -> None:
        self._waiting: Queue[T] = Queue(room)
        self._left = Event()

    def put(self, one: T) -> None:
        """Hand it over, once there is room. Raises Left."""
        while not self._left.is_set():
            try:
                return self._waiting.put(one, timeout=CLOSE_CHECK_SECONDS)
            except Full:
                continue
        raise Left

    def take(self, seconds: float) -> T:
        """Return the next one. Raises TimeoutError when none came within so many seconds."""
        try:
            return self._waiting.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None

    @property
    def empty(self) -> bool:
        return self._waiting.empty()

    def leave(self) -> None:
        """Take no more: whoever reads for us ends."""
        self._left.set()

    def has_left(self) -> bool:
        return self._left.is_set()
