"""The ledger: one object over one connection, put together from its chapters."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from deployctl.ledger.access import AccessRows
from deployctl.ledger.apps import AppRows
from deployctl.ledger.connection import Connection
from deployctl.ledger.holder import Machine, ThisMachine
from deployctl.ledger.instances import InstanceRows
from deployctl.ledger.journal import JournalRows
from deployctl.ledger.leases import LeaseRows
from deployctl.ledger.opening import open_ledger
from deployctl.ledger.stamps import StampRows


class SqliteLedger(AppRows, InstanceRows, JournalRows, LeaseRows, AccessRows, StampRows):
    """Everything deployctl remembers of one home."""

    def __init__(self, connection: Connection, machine: Machine | None = None) -> None:
        self.db, self.machine = connection, machine or ThisMachine()

    @classmethod
    def open(cls, path: Path, home: Path, *, now: str) -> SqliteLedger:
        """Open, check and migrate it; make it where none ever was. Raises LedgerUnusable."""
        return cls(open_ledger(path, home, now=now))

    @property
    def secret(self) -> bytes:
        """Return this home's secret, made with the ledger: seals labels against images that lie."""
        return bytes.fromhex(self.db.execute("select secret from identity where id = 1")[0][0])

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return self.db.transaction(durable=durable)

    def keep_copy(self, *, at: str) -> None:
        """Copy the ledger to state/backups when traffic was moved through it since the last copy."""
        if self.promoted:
            from deployctl.ledger.copies import Reason, keep_copy

            keep_copy(self.db.raw, self.db.path, Reason.PROMOTION, at=at)
            self.promoted = False

    def close(self) -> None:
        self.db.close()
