"""Services for each request: a ledger connection belongs to one thread at a time, and opening one costs
milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue

from flask import has_request_context, request

from deployctl.dataclass import replace
from deployctl.domain.host.actor import Actor, Via
from deployctl.ports import Reporter, Services
from deployctl_web.live.page_reads import ROOM, PageReads

SOMEBODY = Actor("somebody", Via.WEB)  # before the user is known
MAX_IDLE_SERVICES = 8  # services that are kept for the next request
CACHE = 2 * 2**20  # bytes of the ledger that SQLite caches for each at most, by its default
MAX_BYTES_EACH = CACHE + ROOM


def find_address() -> str | None:
    """Return where the current request comes from, None outside of one."""
    return request.remote_addr if has_request_context() else None


class ServicesPool:
    """Lends services created by `connect`, under the name of the requesting user."""

    def __init__(self, connect: Callable[[], Services]) -> None:
        self._connect = connect
        self._idle: LifoQueue[tuple[Services, PageReads]] = LifoQueue()
        self._closed = False

    @contextmanager
    def lend(self, actor: str, report: Reporter | None = None, *, address: str | None = None) -> Iterator[Services]:
        """Yield services for one thread; what the actor does is recorded with that address, or with that of the current
        request. Raises what `connect` raises."""
        with self._borrowed(actor, address) as (s, _):
            yield replace(s, actor=Actor.of(actor), report=report or s.report)

    @contextmanager
    def lend_to_read(self, actor: str) -> Iterator[Services]:
        """Yield services for rendering one page: their view of the ledger is that of the moment they were lent. Raises
        what `connect` raises, and what the ledger does."""
        with self._borrowed(actor, None) as (s, reads):
            yield replace(s, actor=Actor.of(actor), ledger=reads.ledger())

    @contextmanager
    def _borrowed(self, actor: str, address: str | None) -> Iterator[tuple[Services, PageReads]]:
        try:
            lent = self._idle.get_nowait()
        except Empty:
            s = self._connect()
            lent = s, PageReads(s.ledger)
        asked_from = address or find_address()
        lent[0].ledger.origin = (actor, asked_from) if asked_from else None
        try:
            yield lent
        finally:
            self._give_back(lent)

    @property
    def bytes(self) -> int:
        """Return what idle connections take at most."""
        return self._idle.qsize() * MAX_BYTES_EACH

    def _give_back(self, lent: tuple[Services, PageReads]) -> None:
        if self._closed or self._idle.qsize() >= MAX_IDLE_SERVICES:
            lent[0].close()
        else:
            self._idle.put(lent)

    def close(self) -> None:
        """Close what is idle now and what is returned later."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait()[0].close()
            except Empty:
                return
