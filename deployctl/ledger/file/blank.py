"""A ledger of no home: empty and without a file, for inspecting a path where there is no home."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.ledger.file.connection import LedgerConnection
from deployctl.ledger.file.opening import make_identity
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.connection import T


SCHEMA = Path(__file__).with_name("blank.sql")  # what all migrations come to: they would load sqlite-utils and click


class MemoryConnection(LedgerConnection):
    """The real connection, in memory: no file is created, and none can be put in its place."""

    def _connect(self) -> None:
        self._file, self._durable, self._utils = self._look(), None, None
        self.raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.raw.row_factory = sqlite3.Row

    def _look(self) -> tuple[int, int]:
        return 0, 0

    def insist(self, write: Callable[[], T]) -> T:
        return write()


def blank_ledger(path: Path, home: Path, *, now: str) -> SqliteLedger:
    """Return an empty ledger in memory, for a home whose ledger would be at that path."""
    connection = MemoryConnection(path)
    connection.raw.executescript(SCHEMA.read_text(encoding="ascii"))
    make_identity(connection, home, now=now)
    return SqliteLedger(connection)
