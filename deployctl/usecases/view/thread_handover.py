"""A bounded queue between reading threads and one consumer: they are never far ahead of it, and they end with it."""

from __future__ import annotations

from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, TypeVar

CLOSE_CHECK_SECONDS = 0.2  # seconds within which a waiting producer notices that the consumer has left

T = TypeVar("T")


class Left(Exception):
    """The consumer has left: stop reading."""


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
        """Return the next one. Raises TimeoutError if none came within that many seconds."""
        try:
            return self._waiting.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None

    @property
    def empty(self) -> bool:
        return self._waiting.empty()

    def leave(self) -> None:
        """Take no more: the producers end."""
        self._left.set()

    def has_left(self) -> bool:
        return self._left.is_set()
