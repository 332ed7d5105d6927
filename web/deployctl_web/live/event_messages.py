"""What a stream carries, and how much of it may wait for a slow one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import Empty, Full, Queue
from typing import Any

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.access import Principal, Role
from deployctl.domain.inputs.names import AppName

MAX_WAITING_BYTES = 2**20  # bytes of messages that wait for a slow stream
BEHIND = 1024  # messages that wait for a slow stream: some for each app of a large server


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One event of the stream; `app` None is for everybody who may see the server."""

    id: int
    kind: str  # snapshot, state, progress, metrics, notice
    app: AppName | None
    data: Mapping[str, Any]
    size: int = 0  # bytes that it takes while it waits


@dataclass(slots=True, eq=False)
class Stream:
    """One browser that watches some apps, or with None all that it may see; those of `closely` each on a page of its
    own."""

    who: Principal
    apps: frozenset[AppName] | None
    closely: frozenset[AppName]
    gone: Callable[[], bool] = bool
    waiting: Queue[EventMessage | None] = field(default_factory=lambda: Queue(BEHIND))  # None wakes it up: it is over
    missed: bool = False  # it must start afresh with a snapshot
    over: bool = False
    displaced: bool = False  # it is over because another one replaced it

    def wants(self, message: EventMessage) -> bool:
        if message.app is None:
            return self.who.may(Role.VIEWER, None)
        if message.kind == "metrics" and message.app not in self.closely:
            return False
        return (self.apps is None or message.app in self.apps) and self.who.may(Role.VIEWER, message.app)

    def next(self, seconds: float) -> EventMessage | None:
        """Return the next message, None if none came for that long."""
        try:
            return self.waiting.get(timeout=seconds) if seconds else self.waiting.get_nowait()
        except Empty:
            return None

    @property
    def bytes(self) -> int:
        return sum(message.size for message in [*self.waiting.queue] if message is not None)

    def put(self, message: EventMessage | None) -> None:
        if message is not None and self.bytes + message.size > MAX_WAITING_BYTES and not self.waiting.empty():
            self.missed = True
            return
        try:
            self.waiting.put_nowait(message)
        except Full:
            self.missed = True

    def end(self) -> None:
        """Make its sender stop, immediately if it is waiting."""
        self.over = True
        self.put(None)

    def begin_anew(self) -> None:
        """Drop what waits: what is read now is newer."""
        self.missed = False
        while self.next(0) is not None:
            pass
