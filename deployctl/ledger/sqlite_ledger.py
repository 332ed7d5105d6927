"""The ledger: one object over one connection, put together from its chapters."""

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
    """Everything deployctl remembers of one home."""

    def __init__(self, connection: LedgerConnection, machine: Machine | None = None) -> None:
        self.db, self.machine = connection, machine or ThisMachine()

    @classmethod
    def open(cls, path: Path, home: Path, *, now: str) -> SqliteLedger:
        """Open, check and migrate it; make it where none ever was. Raises LedgerUnusable."""
        return cls(open_ledger(path, home, now=now))

    @property
    def identity(self) -> HomeIdentity:
        """Return who this home is: id and secret were made with the ledger, and seal labels against images that lie."""
        return identity_of(self.db)

    def require_gone(self, places: Iterable[str]) -> None:
        """Raise CopiedHome when this home lies at one of these places, too."""
        require_gone(places, Path(self.identity.path), keys_of(self.db))

    def file(self) -> tuple[int, int]:
        return self.db.file()

    def set_home_id(self, home_id: str) -> None:
        """Go on with an id that the home had before its ledger and what lay beside it were lost."""
        self.db.execute("update identity set home_id = ? where id = 1", [home_id])

    @property
    def engine(self) -> str | None:
        """Return the id of the engine that this home's containers were last seen on; None while there are none."""
        found = self.db.one("select engine from identity where id = 1 and exists (select 1 from instances)")
        return found["engine"] if found else None

    def set_engine(self, engine: str) -> None:
        """Remember on which engine the home's containers are."""
        self.db.execute("update identity set engine = ? where id = 1 and engine is not ?", [engine, engine])

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return self.db.transaction(durable=durable)

    def keep_copy(self, *, at: str) -> None:
        """Copy the ledger to state/backups when traffic was moved since the last copy, which is a minute old."""
        from deployctl.ledger.file.copies import CopyReason, is_due, keep_copy

        if is_due(self.db.raw, self.db.path, at=at):
            keep_copy(self.db.raw, self.db.path, CopyReason.PROMOTION, at=at)

    def close(self) -> None:
        self.db.close()
