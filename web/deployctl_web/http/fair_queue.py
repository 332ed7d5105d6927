"""Connections that wait for a thread take turns by client: one that sends a thousand requests waits only for itself."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from deployctl_web.http.admission import Seat


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
