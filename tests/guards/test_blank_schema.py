"""deployctl/ledger/file/blank.sql is what the migrations come to. Redraw: python -m tests.guards.test_blank_schema"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlite_utils import Database

from deployctl.ledger.file.blank import SCHEMA
from deployctl.ledger.file.schema import SCHEMA_VERSION, schema


def drawn() -> str:
    """Return the statements that make a ledger of this version at once."""
    with closing(sqlite3.connect(":memory:")) as made:
        schema.apply(Database(made, execute_plugins=False))
        entries = made.execute("select sql from sqlite_master where sql is not null and name not like 'sqlite\\_%' escape '\\' "
                               "order by rowid").fetchall()
        names = made.execute("select migration_set, name from _sqlite_migrations order by id").fetchall()
    migrations = [f"insert into _sqlite_migrations(migration_set, name, applied_at) values ('{kind}', '{name}', '')"
                  for kind, name in names]
    lines = [*(sql for (sql,) in entries), *migrations, f"pragma user_version = {SCHEMA_VERSION}"]
    return "".join(f"{line};\n" for line in lines)


def test_the_schema_of_a_blank_ledger_is_what_the_migrations_come_to() -> None:
    assert SCHEMA.read_text(encoding="ascii") == drawn()


if __name__ == "__main__":
    SCHEMA.write_text(drawn(), encoding="ascii")
