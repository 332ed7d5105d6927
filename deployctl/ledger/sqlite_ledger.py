"""The ledger: one object over one connection, put together from its four chapters."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from deployctl.ledger.apps import AppRows
from deployctl.ledger.connection import Connection, open_ledger
from deployctl.ledger.instances import InstanceRows
from deployctl.ledger.journal import JournalRows
from deployctl.ledger.leases import LeaseRows


class SqliteLedger(AppRows, InstanceRows, JournalRows, LeaseRows):
    """Everything deployctl remembers of one home."""

    def __init__(self, connection: Connection) -> None:
        self.db = connection

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

    def close(self) -> None:
        self.db.close()
