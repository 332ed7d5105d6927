"""Codes decide and texts do not: whatever the texts say, pages are laid out alike; what older builds wrote stays readable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deployctl.dataclass import replace
from deployctl.domain.change.drift import Drift
from deployctl.domain.change.drift_kinds import DriftKind, Repair
from deployctl.domain.change.status_note import NoteCode, StatusNote
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import (
    DeployctlError,
    LeaseHeld,
    LedgerUnusable,
    NotFound,
    NotHealthy,
    NotPermitted,
    RevertedAfterSwitch,
)
from deployctl.ledger.file import own_schema, schema
from deployctl.ledger.file.connection import FULL, sqlite_errors
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import StatusView
from deployctl.usecases.view.activity import recent
from deployctl.usecases.view.audit import audit
from deployctl.usecases.view.in_progress import Failure, find_failure
from deployctl.usecases.views import as_json, error_json
from deployctl_web.pages.parts.notices import Notice, notices_of
from tests.unit import cli_results as r
from tests.unit.world import SHOP, World, world

NOW = "2026-11-24T15:00:00.000Z"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


# -- notices of a page -----------------------------------------------------------------------------------------------
EVERY = tuple(StatusNote(code, r.SHOP, f"text of {code}", "v42", 7) for code in NoteCode)
DRIFTS = (Drift(DriftKind.TRAFFIC, "elsewhere", Repair.FOLLOW, r.SHOP, 6),
          Drift(DriftKind.STOPPED, "stopped", Repair.START, r.SHOP, 7))


def notices(*, failure: Failure | None = None, **changed: Any) -> list[Notice]:
    view = replace(r.TROUBLED, **changed)
    return notices_of(StatusView((view,), None, None), view, under=None, failure=failure, at="12:00", age=0.0, stale="")


@pytest.mark.parametrize("state", ["healthy", "degraded", "down", "unknown"])
def test_which_notices_there_are_goes_by_codes_and_by_no_text(state: str) -> None:
    plain = notices(state=state, notes=EVERY, drifts=DRIFTS)
    misleading = [replace(note, message=" serves nobody is on hold (v42 failed under traffic: shop-api: ") for note in EVERY]
    others = notices(state=state, notes=tuple(misleading), drifts=[replace(one, message="v42 is on hold (") for one in DRIFTS])
    assert [(one.level, one.command, len(one.lines)) for one in plain] == [
        (one.level, one.command, len(one.lines)) for one in others]


def test_a_live_version_that_does_not_pass_is_told_once_and_what_is_on_hold_not_at_all() -> None:
    assert [one.title for one in notices()] == ["v42 does not pass its health check: GET /healthz gave 503."]


def test_an_app_without_a_live_version_says_so_once() -> None:
    note = StatusNote(NoteCode.NO_LIVE_VERSION, r.SHOP, "whatever it says")
    assert [(one.level, one.title) for one in notices(state="down", active=None, notes=(note,))] == [
        ("bad", "shop-api has no live version: visitors get 503.")]


def test_what_a_note_tells_is_not_told_as_drift_again() -> None:
    elsewhere = StatusNote(NoteCode.TRAFFIC_ELSEWHERE, r.SHOP, "HAProxy routes to release 6", release=6)
    found = notices(state="healthy", notes=(elsewhere,), drifts=DRIFTS)
    assert [one.lines for one in found] == [(), ("Stopped",)]
    assert [one.lines for one in notices(state="healthy", notes=(), drifts=DRIFTS)] == [("Elsewhere", "Stopped")]


def test_a_failure_is_told_without_what_its_title_says(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    (told,) = notices(state="healthy", notes=(), failure=find_failure(SHOP, w.s))
    assert told.title == "v2 did not become healthy. v42 is still live."
    assert told.text.startswith("GET / gave 503 for ")


# -- why something failed --------------------------------------------------------------------------------------------
def test_a_candidate_that_fails_leaves_its_cause_with_error_deployment_and_release(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = "connection refused"
    with pytest.raises(NotHealthy) as raised:
        w.upgrade("v2")
    assert (raised.value.code, raised.value.cause) == ("not_healthy", "not_listening")
    told = error_json(raised.value)["error"]
    assert (told["code"], told["cause"]) == ("not_healthy", "not_listening")
    ended = as_json(w.ledger.deployments(SHOP)[0]) or {}
    assert (ended["error_code"], ended["cause"]) == ("not_healthy", "not_listening")
    release = w.ledger.find_release(SHOP, 2)
    assert release is not None
    assert as_json(release)["failure_code"] == "not_listening"


def test_a_candidate_that_fails_under_traffic_keeps_the_cause(w: World) -> None:
    w.edit(watch="30s")
    w.upgraded("v1")
    w.clock.after(5, lambda: w.sick.update(v2=503))
    with pytest.raises(RevertedAfterSwitch) as raised:
        w.upgrade("v2")
    assert raised.value.cause == "not_passing"
    failure = find_failure(SHOP, w.s)
    assert failure is not None
    assert (failure.code, failure.cause, failure.switched) == ("reverted_after_switch", "not_passing", True)
    assert failure.why.startswith("v2 is no longer healthy")


# -- what events tell ------------------------------------------------------------------------------------------------
def test_a_hold_is_told_by_its_version_and_one_of_an_older_build_by_its_text(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(hold, Version("v1"))
    w.use(unhold, Version("v1"))
    w.ledger.event("held", "shop v2", at=NOW, actor="mara (cli)", app=SHOP, data={"note": ""})
    assert [line.summary for line in audit(w.s, app=SHOP)[:3]] == [
        "shop v2 was put on hold", "the hold of v1 was released", "v1 was put on hold"]
    told = {deed.kind: (deed.before, deed.version, deed.after) for deed in recent(SHOP, w.s) if deed.at != NOW}
    assert (told["held"], told["released"]) == (("", "v1", " was put on hold"), ("Hold of ", "v1", " released"))
    (old,) = [deed for deed in recent(SHOP, w.s) if deed.at == NOW]
    assert (old.version, old.after) == ("shop v2", " was put on hold")


# -- the ledger ------------------------------------------------------------------------------------------------------
def test_the_one_failure_that_was_told_by_its_text_gets_its_code(tmp_path: Path) -> None:
    from sqlite_utils import Database

    with closing(sqlite3.connect(tmp_path / "former.db", isolation_level=None)) as db:
        names = own_schema.migration_names()
        schema.schema.apply(Database(db, execute_plugins=False), stop_before="m019_codes")
        assert "m019_codes" in names
        for number, failure in ((1, "its upgrade was overtaken by a rollback"), (2, "v2 did not become healthy"), (3, None)):
            db.execute("insert into releases(app, number, version, digest, bundle, bundle_hash, created_at, cap_drop, failure) "
                       "values ('shop', ?, 'v', 'd', '{}', ?, 'now', '[]', ?)", [number, f"hash {number}", failure])
        schema.schema.apply(Database(db, execute_plugins=False))
        assert db.execute("select number, failure_code from releases order by number").fetchall() == [
            (1, "overtaken"), (2, None), (3, None)]


@pytest.mark.parametrize(("code", "kind", "named"), [
    (sqlite3.SQLITE_BUSY, LeaseHeld, "busy"), (sqlite3.SQLITE_BUSY_SNAPSHOT, LeaseHeld, "busy"),
    (sqlite3.SQLITE_LOCKED, LeaseHeld, "busy"), (sqlite3.SQLITE_FULL, DeployctlError, FULL),
    (sqlite3.SQLITE_READONLY_DIRECTORY, NotPermitted, "not_permitted"),
    (sqlite3.SQLITE_CANTOPEN, NotPermitted, "not_permitted"),
    (sqlite3.SQLITE_CORRUPT, LedgerUnusable, "ledger_unusable"), (sqlite3.SQLITE_NOTADB, LedgerUnusable, "ledger_unusable"),
    (None, LedgerUnusable, "ledger_unusable"),
])
def test_sqlites_errors_are_told_apart_by_their_codes(tmp_path: Path, code: int | None, kind: type[DeployctlError],
                                                      named: str) -> None:
    error = sqlite3.OperationalError("database is locked, the disk is full and readonly")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(kind) as raised, sqlite_errors(tmp_path / "ledger.db"):
        raise error
    assert raised.value.code == named


# -- what may have been meant ----------------------------------------------------------------------------------------
def test_an_error_says_what_may_have_been_meant_and_what_may_be_said_to_anybody(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NotFound) as raised:
        require_app(AppName("shpo"), w.s)
    assert raised.value.message == f'no app "shpo". Did you mean shop? The home is {w.s.home}.'
    assert raised.value.discreet == f'no app "shpo". The home is {w.s.home}.'
