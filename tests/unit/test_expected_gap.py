"""A gap that is expected to be longer than max_gap is asked about before anything begins; every plan says how long it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.plan import StepKind
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import ConfirmationNeeded
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.rollback import preview_rollback
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from tests.unit.cli_world import shop
from tests.unit.world import SHOP, V2, World, runnable, world

DB = AppName("shop/db")
DATABASE: dict[str, Any] = {"kind": "backing", "image": "postgres:16", "port": 5432, "stop_grace": "50s"}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def parts(w: World, version: Version = V2) -> dict[tuple[str, str], tuple[float, bool]]:
    found = preview_upgrade(SHOP, version, w.s).gap
    assert found is not None
    return {(part.component, part.step): (part.seconds, part.known) for part in found.parts}


def test_without_a_gap_nothing_is_said(w: World) -> None:
    w.upgraded("v1")
    assert preview_upgrade(SHOP, V2, w.s).gap is None


def test_the_first_time_the_file_says_how_long_it_may_be(w: World) -> None:
    w.edit(kind="exclusive", stop_grace="20s", max_gap="12s")
    w.upgraded("v1")
    found = preview_upgrade(SHOP, V2, w.s).gap
    assert found is not None
    assert (round(found.seconds, 1), found.most, found.asks) == (20.2, 12.0, True)
    assert found.sentence == ("Expected gap: at most 20.2 s (web may take 20 s to end, web took 0.2 s to be healthy). "
                              "Requests wait up to 12 s.")


def test_it_asks_before_anything_begins_and_not_once_it_is_known_to_be_short(w: World) -> None:
    w.edit(kind="exclusive", stop_grace="20s", max_gap="12s")
    w.upgraded("v1")
    calls, everything = list(w.engine.calls), w.everything()
    with pytest.raises(ConfirmationNeeded, match="web may take 20 s to end") as asked:
        w.upgrade("v2")
    assert asked.value.revision == 1
    assert (w.engine.calls, w.everything()) == (calls, everything)
    assert w.upgrade("v2", confirmed=True).target == "v2"
    assert w.upgrade("v3").target == "v3", "it took next to nothing"


def test_it_asks_again_once_it_was_long(w: World) -> None:
    w.edit(kind="exclusive", stop_grace="8s", max_gap="12s")
    w.engine.behaviours["web",] = Behaviour()
    w.upgraded("v1")
    w.sick["v2"] = 503
    real = w.clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        if w.clock.now() > began + 15:
            w.sick.clear()

    w.edit(health={"deadline": "60s"})
    began = w.clock.now()
    w.clock.sleep = sleep  # type: ignore[method-assign]
    assert w.upgrade("v2").target == "v2"
    assert parts(w, Version("v3"))["web", StepKind.HEALTH][0] > 12
    with pytest.raises(ConfirmationNeeded, match=r"web took 1\d(\.\d)? s to be healthy"):
        w.upgrade("v3")


def test_what_needs_it_and_jobs_in_the_gap_count(w: World) -> None:
    w.edit(needs={"store": "healthy"}, components={
        "store": {"kind": "exclusive", "port": 7000, "stop_grace": "3s"},
        "migrate": {"kind": "job", "command": ["migrate"], "timeout": "5m", "needs": {"store": "healthy"}}})
    w.engine.behaviours["migrate",] = Behaviour(exits=0)
    w.upgraded("v1")
    found = parts(w)
    assert found["store", StepKind.HAND_OVER] == (3.0, False)
    assert found["migrate", StepKind.JOB][1], "it ran before"
    w.ledger.db.execute("update steps set component = 'other' where kind = 'job'")
    assert parts(w)["migrate", StepKind.JOB] == (300.0, False)
    with pytest.raises(ConfirmationNeeded, match="migrate may take 300 s to run"):
        w.upgrade("v2")


def test_a_rollback_tells_it_too(w: World) -> None:
    w.edit(kind="exclusive", stop_grace="5s")
    w.upgraded("v1", "v2")
    found = preview_rollback(SHOP, w.s).gap
    assert found is not None
    assert [(part.component, part.step, part.known) for part in found.parts] == [
        ("web", StepKind.HAND_OVER, True), ("web", StepKind.HEALTH, True)]


def test_a_database_with_a_long_grace_asks_and_its_first_start_does_not(w: World) -> None:
    for version in ("16", "17"):
        w.engine.images.add(f"postgres:{version}", image=runnable(f"postgres:{version}"))
    w.edit(needs={"db": "healthy"}, components={"db": DATABASE})
    w.upgraded("v1")
    with pytest.raises(ConfirmationNeeded, match="db may take 50 s to end"):
        upgrade(DB, Version("17"), w.s)
    w.upgraded("v2")


def test_the_command_line_asks_and_a_dry_run_shows_it(tmp_path: Path) -> None:
    with shop(tmp_path) as w:
        with w.settings.app_file(SHOP).open("a") as file:
            file.write('kind = "exclusive"\nstop_grace = "50s"\n')
        assert w.deployctl("upgrade", "shop", "v1").code == 0
        assert "Expected gap: at most 50.2 s (web may take 50 s to end" in w.deployctl("upgrade", "shop", "v2", "--dry-run").out
        told = w.deployctl("upgrade", "shop", "v2", "--dry-run", "-o", "json").json["gap"]
        assert (round(told["seconds"], 1), told["most"], told["asks"]) == (50.2, 30.0, True)
        assert [(part["component"], part["step"], part["known"]) for part in told["parts"]] == [
            ("web", "hand_over", False), ("web", "health", True)]
        said = w.deployctl("upgrade", "shop", "v2", "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (5, "confirmation_needed")
        assert w.deployctl("upgrade", "shop", "v2", "--yes").code == 0
