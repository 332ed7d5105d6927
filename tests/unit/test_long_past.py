"""What is decided from is as long as what is kept: a command does the same work after ten times as many releases, and finds
what was deployed long ago when somebody names it."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from bench.growth.past import lengthen
from deployctl.domain.host.access import Role
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ports import Services
from deployctl.usecases.access.tokens import create_token
from deployctl.watch.watch import Watch
from deployctl_web.app import create_app
from deployctl_web.state import build_state
from tests.unit.cli_world import Said, World, shop
from tests.unit.web_world import PLACE, Browser, StillMeter
from tests.unit.world import world

WORK = [["rollback", "shop"], ["undo", "shop"], ["status", "shop"], ["status"], ["upgrade", "shop", "v3", "--dry-run"],
        ["history"], ["show", "shop", "v1"], ["diff", "shop", "v1", "v2"], ["hold", "shop", "v1"], ["unhold", "shop", "v1"],
        ["prune", "shop", "--yes"], ["reconcile"]]  # fmt: skip
OLD = "past-7"  # long pruned, and further back than the chain of what can be gone back to


@contextmanager
def long_past(tmp_path: Path, releases: int, events: int = 0) -> Iterator[World]:
    with shop(tmp_path, "v1", "v2") as home:
        lengthen(home.settings.ledger, "shop", releases=releases, events=events)
        yield home


def calls(act: Callable[[], Said]) -> int:
    """Return how many Python functions are called meanwhile, and require that it goes well."""
    counted = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        said = act()
    finally:
        sys.setprofile(None)
    assert said.code == 0, said.both
    return counted


def work(home: World) -> dict[str, int]:
    """Return what each command takes, the second time: what is imported once is no work."""
    found = {}
    for _ in range(2):
        for words in WORK:
            found[" ".join(words)] = calls(partial(home.deployctl, *words))
    return found


def test_commands_do_the_same_work_after_ten_times_as_many_releases_and_events(tmp_path: Path) -> None:
    found = []
    for releases in (200, 2000):
        (tmp_path / str(releases)).mkdir()
        with long_past(tmp_path / str(releases), releases, events=releases * 3) as home:
            found.append(work(home))
    few, many = found
    assert {words: (few[words], many[words]) for words in few if many[words] > 1.1 * few[words]} == {}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    with long_past(tmp_path, 300) as made:
        yield made


def test_what_was_made_as_if_it_had_happened_holds_together(home: World) -> None:
    assert home.deployctl("doctor").code == 0
    assert home.deployctl("status", "shop", "-o", "json").json["apps"][0]["active"]["version"] == "v2"


@pytest.mark.parametrize("words", [
    ["show", "shop", OLD], ["diff", "shop", OLD, "past-8"], ["diff", "shop", OLD], ["hold", "shop", OLD],
    ["rollback", "shop", OLD, "--dry-run"], ["rollback", "shop", f"{OLD}@9", "--dry-run"],
    ["start", "shop", f"{OLD}@9", "--dry-run"], ["start", "shop", OLD, "--dry-run"], ["stop", "shop", OLD, "--dry-run"],
], ids=" ".join)  # fmt: skip
def test_a_version_that_was_deployed_long_ago_is_found_when_it_is_named(home: World, words: list[str]) -> None:
    number = rows(home, "select number from releases where version = ?", OLD)[0][0]
    said = home.deployctl(*(word.replace("@9", f"@{number}") for word in words))
    assert said.code == 0, said.both


def test_a_hold_of_long_ago_is_told_and_lifted(home: World) -> None:
    assert home.deployctl("hold", "shop", OLD, "-o", "json").json["changed"] is True
    assert home.deployctl("hold", "shop", OLD, "-o", "json").json["changed"] is False
    assert "on hold" in home.deployctl("rollback", "shop", OLD, "--dry-run").both
    assert home.deployctl("unhold", "shop", OLD, "-o", "json").json["changed"] is True


def test_a_version_that_never_was_is_not_found(home: World) -> None:
    assert home.deployctl("rollback", "shop", "past-7000").code == 3
    assert home.deployctl("rollback", "shop", f"{OLD}@7000").code == 3


def test_a_version_of_many_releases_means_its_newest_proven_one(home: World) -> None:
    edit(home, "update releases set version = 'latest' where version like 'past-%'",
         "update releases set proven_at = null where number = 300",
         "update releases set hold_at = created_at, hold_actor = 'mara', hold_reason = 'bad' where number in (298, 299)")
    plan = home.deployctl("rollback", "shop", "latest", "--dry-run", "-o", "json").json
    assert plan["to_release"] == 297
    assert home.deployctl("show", "shop", "latest", "-o", "json").json["release"] == 299


def test_two_releases_of_one_version_are_told_apart_however_long_ago_the_other_one_was(home: World) -> None:
    edit(home, "update releases set version = 'v1' where number = 5")
    assert "v1@1" in home.deployctl("rollback", "shop", "--dry-run").both


def edit(home: World, *statements: str) -> None:
    with sqlite3.connect(home.settings.ledger) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def rows(home: World, sql: str, *values: object) -> list[tuple[int]]:
    with sqlite3.connect(home.settings.ledger) as db:
        found = db.execute(sql, values).fetchall()
    db.close()
    return found


# -- what SQLite does for it ----------------------------------------------------------------------------------------
GROWS = "releases|changes|events|deployments|steps|sign_ins|tokens|pulls"
SHORT = ("one_open_deployment_per_app", "living_sign_ins", "one_token_in_use_per_name")
PAGES = ["/", "/live", "/activity", "/activity.jsonl", "/server", "/settings", "/metrics", "/apps/shop", "/apps/shop/lower",
         "/apps/shop/live", "/apps/shop/charts", "/apps/shop/ask?verb=rollback", "/apps/shop/deploy", "/apps/shop/logs",
         "/apps/shop/versions/v1", "/apps/shop/compare?a=v1&b=v2", "/api/v1/apps", "/api/v1/apps/shop", "/api/v1/tokens",
         "/api/v1/apps/shop/deployments", "/api/v1/apps/shop/history", "/api/v1/apps/shop/refusals", "/api/v1/users",
         "/api/v1/apps/shop/versions/v1", "/api/v1/audit", "/api/v1/audit?app=shop"]  # fmt: skip


def test_neither_a_page_nor_the_watcher_reads_a_table_that_grows_from_end_to_end(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1", "v2")
        w.ledger.db.execute("pragma wal_checkpoint(truncate)")
        lengthen(w.ledger.db.path, "shop", releases=120, events=400)
        seen: set[str] = set()

        def connect() -> Services:
            ledger = w.open_ledger()
            ledger.db.raw.set_trace_callback(seen.add)
            return w.services(ledger=ledger)

        web_state = build_state(PLACE, connect, StillMeter(), SystemClock())
        browser = Browser(create_app(web_state).test_client())
        secret = create_token("p", {"*": Role.ADMIN}, w.s).secret
        for page in PAGES:
            assert browser.get(page, headers={"Authorization": f"Bearer {secret}"}).status_code == 200, page
        watched = connect()
        Watch(watched).tick(set())
        web_state.close()
        watched.close()
        assert [line for text in seen for line in whole_readings(text, w.ledger.db.raw)] == []


def whole_readings(text: str, db: sqlite3.Connection) -> list[str]:
    """Return what of a statement reads such a table whole; in the order of ids and up to a limit it does not, and an index
    that has only some of the rows is short."""
    if not text.startswith(("select", "with", "update", "delete")) or "order by id desc limit" in text:
        return []
    plan = [row[3] for row in db.execute(f"explain query plan {text}")]
    return [f"{line}: {text}" for line in plan if re.match(rf"SCAN ({GROWS})\b", line) and not line.endswith(SHORT)]

