"""The ledger: one object over one connection, composed of its table groups."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from deployctl.ledger.access import AccessRows
from deployctl.ledger.apps import AppRows
from deployctl.ledger.change_stamps import StampRows
from deployctl.ledger.denied_changes import RefusalRows
from deployctl.ledger.file.identity import identity_of, keys_of, require_gone
from deployctl.ledger.file.opening import open_ledger
from deployctl.ledger.fold import FoldRows
from deployctl.ledger.instances import InstanceRows
from deployctl.ledger.journal import JournalRows
from deployctl.ledger.leases import LeaseRows
from deployctl.ledger.lock_owner import ThisMachine
from deployctl.ledger.within_reach import ReachRows

if TYPE_CHECKING:
    from deployctl.domain.host.home import HomeIdentity
    from deployctl.ledger.file.connection import LedgerConnection
    from deployctl.ledger.lock_owner import Machine


class SqliteLedger(AppRows, InstanceRows, JournalRows, RefusalRows, FoldRows, LeaseRows, AccessRows, StampRows, ReachRows):
    """Everything deployctl records of one home."""

    def __init__(self, connection: LedgerConnection, machine: Machine | None = None) -> None:
        self.db, self.machine = connection, machine or ThisMachine()

    @classmethod
    def open(cls, path: Path, home: Path, *, now: str) -> SqliteLedger:
        """Open, check and migrate it; create it if there never was one. Raises LedgerUnusable."""
        return cls(open_ledger(path, home, now=now))

    @property
    def identity(self) -> HomeIdentity:
        """Return this home's identity: id and secret were created with the ledger; the secret signs labels, so that
        images cannot forge them."""
        return identity_of(self.db)

    def require_gone(self, places: Iterable[str]) -> None:
        """Raise CopiedHome if this home also exists at one of these paths."""
        require_gone(places, Path(self.identity.path), keys_of(self.db))

    def file(self) -> tuple[int, int]:
        return self.db.file()

    def set_home_id(self, home_id: str) -> None:
        """Continue with an id that the home had before its ledger and its keys were lost."""
        self.db.execute("update identity set home_id = ? where id = 1", [home_id])

    @property
    def engine(self) -> str | None:
        """Return the id of the engine that this home's containers were last seen on; None if there are none."""
        found = self.db.one("select engine from identity where id = 1 and exists (select 1 from instances)")
        return found["engine"] if found else None

    def set_engine(self, engine: str) -> None:
        """Record which engine the home's containers are on."""
        self.db.execute("update identity set engine = ? where id = 1 and engine is not ?", [engine, engine])

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return self.db.transaction(durable=durable)

    def keep_copy(self, *, at: str) -> None:
        """Back up the ledger to state/backups if traffic was switched since the last backup, and that is a minute
        old."""
        from deployctl.ledger.file.copies import CopyReason, is_due, keep_copy

        if is_due(self.db.raw, self.db.path, at=at):
            keep_copy(self.db.raw, self.db.path, CopyReason.PROMOTION, at=at)

    def close(self) -> None:
        self.db.close()
