"""Is the schema of a ledger exactly what the migrations up to its version create?

A foreign trigger or view acts on whatever we write or read: a file that has one is not a ledger, however well the rest
matches. Texts are compared token by token, so that only spaces and redundant quotes may differ.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing

from deployctl.pattern import pattern
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.connection import LedgerConnection

_WORD = pattern(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|\s+|.""", re.S)
_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*")

SchemaEntry = tuple[str, str, str, tuple[str, ...]]  # type, name, table, the words of its statement


def find_strange(connection: LedgerConnection) -> list[str]:
    """Return one sentence for each table, index, trigger or view that is missing or not ours."""
    names = migration_names()
    version = connection.execute("pragma user_version")[0][0]
    if not 0 < version <= len(names):
        return [f"schema {version} is unknown to this deployctl"]
    wanted, found = Counter(entries_at(version)), Counter(_entries(connection.raw))
    strange = [f"the {kind} {name} of {table} is not deployctl's, or was altered"
               for kind, name, table, _ in (found - wanted)]
    known = {entry[:2] for entry in found}
    strange += [f"the {kind} {name} is missing" for kind, name, *_ in (wanted - found) if (kind, name) not in known]
    return strange or _otherwise_migrated(connection, names[:version])


def _otherwise_migrated(connection: LedgerConnection, names: list[str]) -> list[str]:
    """Return what is wrong if the recorded migrations are not those that created it: missing ones would be applied
    again."""
    noted = [row[0] for row in connection.execute("select name from _sqlite_migrations order by name")]
    return [] if noted == sorted(names) else ["its list of migrations was altered"]


def migration_names() -> list[str]:
    """Return the migrations in order."""
    from sqlite_utils import Database

    from deployctl.ledger.file.schema import schema

    with closing(sqlite3.connect(":memory:")) as empty:
        return [one.name for one in schema.pending(Database(empty, execute_plugins=False))]


def entries_at(version: int) -> list[SchemaEntry]:
    """Return the schema of a ledger of that version, created in memory."""
    from sqlite_utils import Database

    from deployctl.ledger.file.schema import schema

    with closing(sqlite3.connect(":memory:")) as made:
        schema.apply(Database(made, execute_plugins=False), stop_before=migration_names()[version:version + 1])
        return _entries(made)


def _entries(db: sqlite3.Connection) -> list[SchemaEntry]:
    rows = db.execute("select type, name, tbl_name, sql from sqlite_master")
    return [(kind, name, table, words(sql or "")) for kind, name, table, sql in rows]


def words(sql: str) -> tuple[str, ...]:
    """Return the statement token by token: names without quotes, no whitespace."""
    return tuple(_plain(word) for word in _WORD.findall(sql) if not word.isspace())


def _plain(word: str) -> str:
    bare = word[1:-1] if word[0] in '"[`' else word
    return bare.lower() if _NAME.fullmatch(bare) else word
