"""Every route of the dashboard as its URL map lists it, so that what is added tomorrow is tested tomorrow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from deployctl.domain.host.access import Role
from deployctl.testing.fake_clock import FakeClock
from deployctl_web.app import create_app
from deployctl_web.security.authorization import rule_of
from deployctl_web.state import build_state
from tests.unit.web_world import PLACE, StillMeter

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", "OPTIONS", *CHANGING)
# What stands for each part of a path. Where the thing itself is needed, a test puts it in the place of this.
SAMPLES = {"app": "shop", "version": "v1", "filename": "deployctl.css", "secret": "x" * 43, "name": "mara", "user": "mara",
           "secret_name": "DATABASE_URL", "token": "look", "verb": "rollback",
           **dict.fromkeys(("id", "id_", "session", "number", "release"), "1"),
           **dict.fromkeys(("deployment", "operation", "job", "key"), "1")}
QUERY = "a=v1&b=v2&to=v1&verb=rollback&span=15m&limit=5"  # what pages may be asked along with their path


@dataclass(frozen=True, slots=True)
class Route:
    """One rule of the URL map: `needs` is what its view says, None where it says nothing."""

    rule: str
    endpoint: str
    methods: frozenset[str]
    needs: Role | str | None
    parts: frozenset[str]

    def path(self, **samples: str) -> str:
        """Return a path that leads here. A part without a sample is a mistake of this file."""
        return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", lambda part: {**SAMPLES, **samples}[part[1]], self.rule)

    @property
    def of_an_app(self) -> bool:
        return "app" in self.parts

    @property
    def changing(self) -> list[str]:
        return [method for method in CHANGING if method in self.methods]

    def __str__(self) -> str:
        return f"{','.join(sorted(self.methods - {'HEAD', 'OPTIONS'}))} {self.rule}"


def routes_of(app: Flask) -> list[Route]:
    return sorted((_route(app, rule) for rule in app.url_map.iter_rules()), key=str)


def _route(app: Flask, rule: Rule) -> Route:
    needs = rule_of(app, rule.endpoint)
    return Route(rule.rule, rule.endpoint, frozenset(rule.methods or ()), needs, frozenset(rule.arguments))


def all_routes() -> list[Route]:
    """Return the routes of an application that has no home: nothing is asked of it."""
    web_state = build_state(PLACE, _no_home, StillMeter(), FakeClock())
    try:
        return routes_of(create_app(web_state))
    finally:
        web_state.close()


def _no_home() -> Any:
    raise AssertionError("an application without a home was asked for something")


# -- what is in the ledger --------------------------------------------------------------------------------------------
_SEEN = {"sign_ins": {"seen_at"}, "tokens": {"used_at", "used_from"}}  # columns that looking may change


def ledger_dump(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, but for who was seen when."""
    with closing(sqlite3.connect(home / "ledger.db")) as db:
        tables = [row[0] for row in db.execute("select name from sqlite_master where type = 'table'")]
        return {table: list(_rows(db, table)) for table in tables}


def _rows(db: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    columns = [row[1] for row in db.execute(f'pragma table_info("{table}")')]
    kept = [column for column in columns if column not in _SEEN.get(table, ())]
    names = ", ".join(f'"{column}"' for column in kept)
    yield from db.execute(f'select {names} from "{table}" order by rowid' if table != "sqlite_sequence"
                          else "select * from sqlite_sequence")
