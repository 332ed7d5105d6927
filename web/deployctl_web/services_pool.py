"""Services for each request: a ledger connection belongs to one thread at a time, and opening one costs milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue

from flask import has_request_context, request

from deployctl.dataclass import replace
from deployctl.domain.host.actor import Actor, Via
from deployctl.ports import Reporter, Services

SOMEBODY = Actor("somebody", Via.WEB)  # before it is known who asks
MAX_IDLE_SERVICES = 8  # services that are kept for the next request
CACHE = 2 * 2**20  # bytes of the ledger that SQLite keeps for each at most, by its own default


def find_address() -> str | None:
    """Return where the request under way comes from, None outside of one."""
    return request.remote_addr if has_request_context() else None


class Pool:
    """Lends services that `connect` made, under the name of whoever asks."""

    def __init__(self, connect: Callable[[], Services]) -> None:
        self._connect = connect
        self._idle: LifoQueue[Services] = LifoQueue()
        self._closed = False

    @contextmanager
    def lend(self, actor: str, report: Reporter | None = None, *, address: str | None = None) -> Iterator[Services]:
        """Yield services for one thread; what the actor does is told as done from that address, or from where the
        request under way comes. Raises what `connect` raises."""
        try:
            s = self._idle.get_nowait()
        except Empty:
            s = self._connect()
        asked_from = address or find_address()
        s.ledger.origin = (actor, asked_from) if asked_from else None
        try:
            yield replace(s, actor=Actor.of(actor), report=report or s.report)
        finally:
            self._give_back(s)

    @property
    def bytes(self) -> int:
        """Return what idle connections take at most."""
        return self._idle.qsize() * CACHE

    def _give_back(self, s: Services) -> None:
        if self._closed or self._idle.qsize() >= MAX_IDLE_SERVICES:
            s.close()
        else:
            self._idle.put(s)

    def close(self) -> None:
        """Close what is idle now and what comes back later."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return
