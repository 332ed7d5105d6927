"""A long history, written into a ledger as if it had happened: releases, switches of traffic, deployments with their
steps, and a valid event chain. No container is created: those in between have long been pruned."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from deployctl.domain.change.serving import MAX_SERVING_STACK
from deployctl.ledger.chain import CHAIN_START, PROMOTED, link, promotion

AT = "2026-01-01T00:00:00.000Z"
STEPS = ("image", "network", "create", "start", "health", "route", "gate", "switch", "promote", "drain", "stop")

Row = dict[str, Any]


def lengthen(ledger: Path, app: str, *, releases: int, events: int) -> None:
    """Give the app at least that many releases, and the home that many events. Active and standby releases still served
    last. Nothing else may have the ledger open."""
    with closing(sqlite3.connect(ledger)) as db, db:
        db.row_factory = sqlite3.Row
        first, last = _release(db, app, "asc"), _last_change(db, app)
        number = _release(db, app, "desc")["number"]
        for change in _moves(last, range(number + 1, max(number, releases) + 1)):
            if change["target"] > number:
                _add(db, "releases", _like(first, change["target"]))
            change["deployment"] = _deploy(db, change)
            _add(db, "changes", change)
            told = promotion(_read(db, "select * from changes where app = ? and revision = ?", app, change["revision"]))
            _tell(db, PROMOTED, told.text, app, told.data)
            db.execute("update apps set revision = ? where name = ?", [change["revision"], app])
        for event in range(db.execute("select count(*) from events").fetchone()[0], events):
            _tell(db, "refused", f"may not change {app}", None, {"route": "/api/v1/apps", "attempt": event})


def _moves(last: Row, between: range) -> Iterator[Row]:
    """Yield the upgrades to all `between`, then to the standby and to the live release."""
    if not between:
        return
    chain, source = json.loads(last["chain"]), last["target"]
    for revision, target in enumerate((*between, last["source"], last["target"]), last["revision"] + 1):
        chain = [*chain, target][-MAX_SERVING_STACK:]
        yield {"app": last["app"], "revision": revision, "kind": "upgrade", "source": source, "target": target, "at": AT,
               "actor": "bench", "note": "", "switch_ms": 3.5, "chain": json.dumps(chain)}
        source = target


def _like(first: Row, number: int) -> Row:
    """Return a release that differs from that one by its image and one variable."""
    digest, bundle = f"sha256:{number:064x}", json.loads(first["bundle"])
    bundle |= {"digest": digest, "env": [["NUMBER", str(number)]]}
    return {**{name: first[name] for name in ("app", "proven_at", "colour")}, "number": number, "version": f"past-{number}",
            "digest": digest, "bundle": json.dumps(bundle, sort_keys=True, separators=(",", ":")),
            "bundle_hash": f"{number:064x}", "created_at": AT}


def _deploy(db: sqlite3.Connection, change: Mapping[str, Any]) -> int:
    steps = [{"kind": kind, "release": change["target"], "sentence": f"{kind} of past-{change['target']}"} for kind in STEPS]
    plan = {"app": change["app"], "kind": "upgrade", "source": change["source"], "target": change["target"], "steps": steps,
            "summary": f"{change['app']}: upgrade to {change['target']}", "warm": False}
    number = _add(db, "deployments", {
        **{name: change[name] for name in ("app", "kind", "source", "target", "actor", "note")}, "phase": "succeeded",
        "outcome": "succeeded", "plan": json.dumps(plan), "started_at": AT, "finished_at": AT, "token": 1, "evidence": "[]"})
    for seq, step in enumerate(steps):
        _add(db, "steps", {**step, "deployment": number, "seq": seq, "begun_at": AT, "finished_at": AT, "ok": 1, "ms": 1.5,
                           "text": ""})
    return number


def _tell(db: sqlite3.Connection, kind: str, text: str, app: str | None, data: Mapping[str, Any]) -> None:
    last = _read(db, "select coalesce(max(id), 0) as id, hash from events")
    row = {"id": last["id"] + 1, "at": AT, "app": app, "actor": "bench", "kind": kind, "text": text, "data": json.dumps(data)}
    _add(db, "events", {**row, "hash": link(last["hash"] or CHAIN_START, row)})


def _add(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    return db.execute(f"insert into {table}({names}) values ({marks})", list(row.values())).lastrowid or 0  # noqa: S608  ours


def _read(db: sqlite3.Connection, sql: str, *values: object) -> Row:
    return dict(db.execute(sql, values).fetchone())


def _release(db: sqlite3.Connection, app: str, order: str) -> Row:
    return _read(db, f"select * from releases where app = ? order by number {order} limit 1", app)  # noqa: S608  ours


def _last_change(db: sqlite3.Connection, app: str) -> Row:
    return _read(db, "select * from changes where app = ? order by revision desc limit 1", app)
