"""The simulated machine: its processes, their hearts, one ledger in memory that all of them share.

One connection is enough: a transaction is one call, so two of them never overlap, as with SQLite's write lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from deployctl.domain.change.deployment import LeaseFacts
from deployctl.domain.inputs.names import AppName
from deployctl.ledger.file.connection import LedgerConnection
from deployctl.ledger.leases import BEAT_SECONDS
from deployctl.ledger.sqlite_ledger import SqliteLedger
from tests.simulation.scheduler import Process, Scheduler

HOME = Path("/srv/deployctl")
MEMORY = Path(":memory:")
BOOT = "one boot"


@cache
def blank_ledger() -> bytes:
    """Return the pages of a ledger that remembers nothing; its secret is always the same."""
    with TemporaryDirectory() as folder:
        ledger = SqliteLedger.open(Path(folder) / "ledger.db", Path(folder), now="2026-01-01T00:00:00.000Z")
        ledger.db.execute("update identity set home = ?, host = 'simulated', secret = ?, home_id = ?",
                          [str(HOME), "5e" * 32, "1d" * 8])
        ledger.db.execute("pragma journal_mode = delete")
        pages = ledger.db.raw.serialize()
        ledger.close()
    return pages


class MemoryConnection(LedgerConnection):
    """The real connection over pages in memory: no file can be put in its place."""

    def __init__(self, pages: bytes) -> None:
        self._pages = pages
        super().__init__(MEMORY)

    def _connect(self) -> None:
        self._file, self._durable, self._utils = self._look(), None, None
        self.raw = sqlite3.connect(MEMORY, isolation_level=None, cached_statements=512)
        self.raw.row_factory = sqlite3.Row
        self.raw.deserialize(self._pages)

    def _look(self) -> tuple[int, int]:
        return 0, 0

    def _follow(self) -> None:
        """There is nothing to follow."""


class SimulatedMachine:
    """What one process can ask about processes."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pid(self) -> int:
        return self._process.pid

    def started(self, pid: int) -> int | None:
        return pid if self._process.scheduler.alive(pid) else None

    def boot(self) -> str:
        return BOOT

    def uptime(self) -> float:
        return self._process.scheduler.now


class Hearts:
    """Who holds a lease, and whose heart beats for it. `holders` knows only what the ledger granted."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.holders: dict[AppName, tuple[Process, int]] = {}
        self.beating: dict[tuple[AppName, int], tuple[Process, float]] = {}

    def last_beats(self) -> Iterator[tuple[AppName, int, float]]:
        """Yield for every lease that is held when its holder gave its last sign of life."""
        now = self.scheduler.now
        for (app, token), (process, since) in self.beating.items():
            if process.killed or process.ended is not None:
                continue
            frozen = process.frozen_at is not None and now < process.frozen_until
            until = process.frozen_at if frozen and process.frozen_at is not None else now
            yield app, token, max(since, until - (until - since) % BEAT_SECONDS)


class SimulatedLedger(SqliteLedger):
    """The real rows for one simulated process; only its heart is simulated."""

    def __init__(self, connection: LedgerConnection, process: Process, hearts: Hearts) -> None:
        super().__init__(connection, SimulatedMachine(process))
        self._process, self._hearts = process, hearts

    def take_lease(self, app: AppName, *, holder: str, verb: str, at: str, by_force: bool = False) -> int | LeaseFacts:
        self._beat_all()
        row = self.db.one("select * from leases where app = ?", [app])
        held = row is not None and row["holder"] is not None and self._lives(row) and not self._silent(row)
        got = super().take_lease(app, holder=holder, verb=verb, at=at, by_force=by_force)
        assert not (held and isinstance(got, int)) or by_force, f"{holder} took the lease of a living holder"
        if isinstance(got, int):
            self._hearts.holders[app] = (self._process, got)
        return got

    def find_lease(self, app: AppName) -> LeaseFacts | None:
        self._beat_all()
        return super().find_lease(app)

    def give_lease_back(self, app: AppName, token: int) -> None:
        super().give_lease_back(app, token)
        if self._hearts.holders.get(app) == (self._process, token):
            del self._hearts.holders[app]

    @contextmanager
    def heartbeat(self, app: AppName, token: int) -> Iterator[None]:
        self._hearts.beating[app, token] = self._process, self.machine.uptime()
        try:
            yield
        finally:
            self._hearts.beating.pop((app, token), None)

    def keep_copy(self, *, at: str) -> None:
        """Pages in memory have no folder for copies."""

    def _beat_all(self) -> None:
        for app, token, at in self._hearts.last_beats():
            self.db.execute("update leases set beat = ? where app = ? and token = ? and holder is not null", [at, app, token])
