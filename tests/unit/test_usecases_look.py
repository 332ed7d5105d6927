"""People are shown the actual state: HAProxy's routes first, the ledger's record beside, and never a guess."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.settings import Settings
from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Counters, Recent
from deployctl.errors import DeployctlError, Invalid, LedgerUnusable, NotFound, NotHealthy
from deployctl.ports import ContainerFacts, Services
from deployctl.testing.fake_engine import Behaviour
from deployctl.testing.fake_prober import AskedProbe, Reply
from deployctl.usecases import views
from deployctl.usecases.change.hold import hold
from deployctl.usecases.change.rollback import preview_rollback
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.results import AppView
from deployctl.usecases.setup.doctor import doctor
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.history import history
from deployctl.usecases.view.logs import logs
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, V1, V2, V3, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def shop(w: World) -> AppView:
    return status(w.s, app=SHOP).apps[0]


def roles(view: AppView) -> dict[str, str]:
    return {i.version: i.role for i in view.instances}


# -- status -------------------------------------------------------------------------------------------------------
def test_a_home_without_apps_has_an_empty_status(w: World) -> None:
    assert status(w.s).apps == ()


def test_an_unknown_app_is_not_found(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NotFound, match=r"Did you mean shop\?"):
        status(w.s, app=AppName("shopp"))


def test_status_tells_who_serves_who_is_warm_and_what_else_is_there(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.use(start, Version("v9"))
    w.traffic.count(SHOP, 3, Counters(requests=10, failed=1, answers_5xx=2, in_flight=3, response_ms=4.5))
    view = shop(w)
    assert (view.state, view.revision, view.address) == ("healthy", 3, "127.0.0.1:8000")
    assert roles(view) == {"v1": "idle", "v2": "standby", "v3": "active", "v9": "idle"}
    active = view.active
    assert active is not None
    assert (active.version, active.weight, active.health, active.colour) == ("v3", 100, "passing", "blue")
    assert (active.requests, active.failed_requests, active.answers_5xx, active.in_flight) == (10, 1, 2, 3)
    assert view.standby is not None
    assert (view.standby.version, view.standby.warm, view.standby.weight) == ("v2", True, 0)
    assert {i.version: i.health for i in view.instances} == {
        "v1": "stopped", "v2": "passing", "v3": "passing", "v9": "passing"}


def test_after_a_rollback_the_version_that_was_left_is_the_standby_and_shown_on_hold(w: World) -> None:
    w.upgraded("v1", "v2").rollback()
    view = shop(w)
    assert view.standby is not None
    assert (view.standby.version, view.standby.held, view.standby.warm) == ("v2", True, True)
    assert "shop: v2 is on hold (deployctl unhold shop v2)" in [note.line for note in view.notes]


def test_a_stopped_standby_is_not_called_warm(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V1)
    standby = shop(w).standby
    assert standby is not None
    assert (standby.version, standby.warm, standby.health) == ("v1", False, "stopped")


def test_an_app_that_never_served_is_not_deployed_and_one_that_was_stopped_is_down(w: World) -> None:
    w.use(start, V1)
    assert (shop(w).state, shop(w).active) == ("not_deployed", None)
    w.upgrade("v1")
    w.use(stop, V1)
    assert shop(w).state == "down"


@pytest.mark.parametrize(("says", "state"), [(503, "degraded"), ("no response within 2 s", "down"), (200, "healthy")])
def test_what_serves_is_asked_afresh(w: World, says: Any, state: str) -> None:
    w.upgraded("v1")
    w.sick["v1"] = says
    view = shop(w)
    assert view.state == state
    assert bool(view.notes) == (state != "healthy")


@pytest.mark.parametrize(
    ("recent", "state", "reason"),
    [(Recent(0, 10), "down", "none_answered"), (Recent(0, 9), "healthy", None), (Recent(1, 500), "healthy", None)])
def test_one_that_answers_its_probe_and_no_visitor_is_not_passing(
    w: World, recent: Recent, state: str, reason: str | None
) -> None:
    w.upgraded("v1")
    w.traffic.count(SHOP, 1, Counters(requests=600, failed=600, recent=recent))
    view = shop(w)
    assert view.active is not None
    assert (view.state, view.active.health_reason) == (state, reason)
    assert (view.active.health == "passing") == (state == "healthy")
    assert any("none of 10 requests in the last minute" in note.message for note in view.notes) == (state == "down")


def test_a_standby_that_answered_no_visitor_is_not_warm(w: World) -> None:
    w.upgraded("v1", "v2")
    w.traffic.count(SHOP, 1, Counters(requests=12, failed=12, recent=Recent(0, 12)))
    standby = shop(w).standby
    assert standby is not None
    assert (standby.warm, standby.health, standby.health_reason) == (False, "failing", "none_answered")


def test_a_probe_that_fails_tells_whether_there_was_an_answer(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.sick |= {"v2": 503, "v3": "connection refused"}
    assert {i.version: i.health_reason for i in shop(w).instances} == {
        "v1": "not_running", "v2": "wrong_answer", "v3": "no_answer"}


def test_one_that_died_while_serving_is_down(w: World) -> None:
    w.upgraded("v1")
    w.engine.die(w.ledger.instances(SHOP)[0].container or "")
    view = shop(w)
    assert (view.state, view.active.health if view.active else None) == ("down", "failing")


def test_a_failed_candidate_is_shown_as_failed_until_it_is_pruned(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    assert roles(shop(w)) == {"v1": "active", "v2": "failed"}


def test_without_an_engine_status_still_tells_who_serves(w: World) -> None:
    w.upgraded("v1", "v2")
    w.engine.away = "it was stopped"
    found = status(w.s)
    assert "it was stopped" in (found.engine or "")
    (view,) = found.apps
    assert (view.state, view.active.version if view.active else None) == ("healthy", "v2")
    assert view.standby is not None
    assert view.standby.version == "v1"


def test_without_haproxy_nothing_is_guessed(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1")
    w.traffic.die()
    monkeypatch.setattr(w.traffic, "ensure_up", lambda: w.traffic.counters())
    found = status(w.s)
    assert found.proxy
    assert found.apps[0].state == "unknown"


def test_status_starts_a_dead_haproxy(w: World) -> None:
    w.upgraded("v1")
    w.traffic.die()
    assert shop(w).state == "healthy"
    assert w.traffic.pid()


def test_status_goes_by_haproxy_and_says_when_the_ledger_thinks_otherwise(w: World) -> None:
    w.upgraded("v1", "v2")
    w.traffic.switch(SHOP, 1)
    view = shop(w)
    assert view.active is not None
    assert view.active.version == "v1"
    assert [(note.code, note.release) for note in view.notes] == [("traffic_elsewhere", 1)]
    w.rollback("v1")
    assert "traffic_elsewhere" not in {note.code for note in shop(w).notes}


def test_a_deployment_under_way_is_shown_with_its_phase_and_candidate(w: World) -> None:
    w.upgraded("v1")
    w.use(start, V2)
    token = w.ledger.take_lease(SHOP, holder="ci (cli)", verb="upgrade", at=w.clock.utc())
    assert isinstance(token, int)
    w.ledger.open_deployment(Plan(SHOP, PlanKind.UPGRADE, 1, 2, (), ""), actor="ci (cli)", note="", at=w.clock.utc(),
                             token=token)
    view = shop(w)
    assert view.state == "deploying"
    assert view.deployment is not None
    assert (view.deployment.actor, view.deployment.to_version) == ("ci (cli)", "v2")
    assert not view.deployment.interrupted
    assert roles(view) == {"v1": "active", "v2": "candidate"}


def test_the_status_of_one_app_lists_the_containers_once(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    listings, listed = 0, w.engine.containers

    def count() -> Sequence[ContainerFacts]:
        nonlocal listings
        listings += 1
        return listed()

    monkeypatch.setattr(w.engine, "containers", count)
    assert shop(w).drifts == ()
    assert listings == 1


def test_an_upgrade_while_the_instances_are_asked_is_no_drift(w: World) -> None:
    w.upgraded("v1")
    answer, upgrades = w.prober.script, iter([V2])

    def upgrade_first(asked: AskedProbe) -> Reply:
        for version in upgrades:
            with w.beside() as s:
                upgrade(SHOP, version, s)
        return answer(asked)

    w.prober.script = upgrade_first
    assert shop(w).drifts == ()
    assert w.serving == "v2"


def test_status_changes_nothing(w: World) -> None:
    w.upgraded("v1", "v2", "v3").rollback()
    before, calls = w.everything(), list(w.engine.calls)
    status(w.s)
    assert (w.everything(), w.engine.calls) == (before, calls)


def test_commands_and_image_checks_are_asked_too(w: World) -> None:
    w.edit(health={"kind": "exec", "command": ["check"]})
    w.upgraded("v1")
    assert shop(w).state == "healthy"
    image = w.engine.images.find("acme/shop:v2")
    assert image is not None
    w.engine.images.add("acme/shop:v2", image=replace(image, digest="sha256:" + "2" * 64, healthcheck=("CMD", "true")))
    w.engine.behaviours["sha256:" + "2" * 64] = Behaviour(health="healthy")
    w.edit(health={"kind": "docker"})
    w.upgrade("v2")
    active = shop(w).active
    assert active is not None
    assert (active.health, active.probe_message) == ("passing", "HEALTHCHECK says healthy")


def test_status_as_json_has_the_fields_that_programs_rely_on(w: World) -> None:
    w.upgraded("v1", "v2")
    found = json.loads(json.dumps(views.as_json(status(w.s))))
    assert (found["schema"], found["kind"]) == ("deployctl/v1", "Status")
    (app,) = found["apps"]
    assert app.keys() >= {"app", "address", "revision", "state", "active", "standby", "instances", "deployment"}
    assert app["active"].keys() >= {"version", "release", "digest", "colour", "port", "health", "weight"}
    assert app["standby"]["warm"] is True
    assert app["instances"][0].keys() >= {
        "version", "release", "role", "port", "address", "health", "weight", "container"}
    assert len(app["instances"][0]["container"]) == 64


# -- history, show, diff ------------------------------------------------------------------------------------------
def test_history_tells_changes_and_what_did_not_come_to_be(w: World) -> None:
    w.upgraded("v1", "v2")
    w.sick["v3"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v3", note="big one")
    w.rollback(note="cart totals wrong")
    found = history(SHOP, w.s)
    assert [(line.change.kind, line.source, line.target) for line in found.lines] == [
        ("rollback", "v2", "v1"), ("upgrade", "v1", "v2"), ("upgrade", None, "v1")]
    assert found.lines[0].change.note == "cart totals wrong"
    assert [(d.kind, d.phase, d.note) for d in found.attempts] == [("upgrade", "reverted", "big one")]
    assert "503" in (found.attempts[0].error or "")
    assert history(SHOP, w.s, limit=1).lines == found.lines[:1]


def test_history_of_a_forgotten_release_keeps_its_number(w: World) -> None:
    w.upgraded("v1", "v2")
    w.ledger.db.execute("delete from releases where number = 1")
    assert history(SHOP, w.s).lines[0].source == "release 1"


def test_show_means_the_newest_proven_release_and_names_its_siblings(w: World) -> None:
    w.upgraded("v1")
    w.upgrade("v1", env={"MODE": "sale"})
    w.sick["v1"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v1", env={"MODE": "third"})
    found = show(SHOP, V1, w.s)
    assert (found.release.number, found.role, found.siblings) == (2, "active", (3, 1))
    assert found.last is not None
    assert found.last.target == 2


def test_show_of_one_that_was_never_proven_tells_why(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    found = show(SHOP, V2, w.s)
    assert (found.role, found.last.phase if found.last else None) == ("failed", "reverted")
    assert "503" in (found.release.failure or "")
    with pytest.raises(NotFound):
        show(SHOP, Version("v7"), w.s)


def test_diff_names_each_difference_once_and_by_default_compares_with_what_serves(w: World) -> None:
    w.edit(env={"A": "1", "B": "2"}, resources={"memory": "64m"})
    w.upgrade("v1")
    w.edit(env={"B": "3", "C": "4"}, resources={"memory": "128m"}, command=["serve"],
           health={"path": "/healthz", "deadline": "5s"})
    w.upgrade("v2")
    lines = {(line.group, line.sign, line.name): (line.before, line.after) for line in diff(SHOP, V1, None, w.s).lines}
    assert lines.keys() == {("image", "~", "image"), ("env", "-", "A"), ("env", "~", "B"), ("env", "+", "C"),
                            ("limits", "~", "memory"), ("command", "~", "command"), ("health", "~", "path")}
    assert lines["env", "~", "B"] == ("2", "3")
    assert diff(SHOP, V1, V1, w.s).lines == ()


def test_diff_needs_something_to_compare_with(w: World) -> None:
    w.use(start, V1)
    with pytest.raises(NotFound, match="no active release"):
        diff(SHOP, V1, None, w.s)


def test_every_result_can_be_written_as_json(w: World) -> None:
    moved = w.upgraded("v1", "v2").rollback()
    done = w.use(hold, V1)
    results = [
        views.as_json(moved), views.as_json(done), views.as_json(history(SHOP, w.s)),
        views.as_json(show(SHOP, V1, w.s)), views.as_json(diff(SHOP, V1, V2, w.s)),
        views.as_json(preview_rollback(SHOP, w.s, version=V1)),
        views.error_json(NotFound("no", remedy=["yes"])),
    ]  # fmt: skip
    for found in results:
        assert json.loads(json.dumps(found))["schema"] == "deployctl/v1"
    assert results[0] | {"steps": []} == {
        "schema": "deployctl/v1", "kind": "Rollback", "ok": True, "app": "shop", "from": "v2", "to": "v1",
        "from_release": 2, "to_release": 1, "revision": 3,
        "switch_ms": 0.1, "total_ms": results[0]["total_ms"], "confirmed": True, "failed_requests": 0,
            "failed_precision": "exact", "changed": True,
        "image_checked": True, "colour": "blue", "held": ["v2"], "released": [], "standby": "v2", "warnings": [], "steps": [],
        "image": None, "taken_over": []}
    assert [step["kind"] for step in results[0]["steps"]] == ["health", "switch", "promote"]


# -- logs ---------------------------------------------------------------------------------------------------------
def chatty(w: World) -> None:
    for number in (1, 2):
        image = w.engine.images.find(f"acme/shop:v{number}")
        assert image is not None
        w.engine.behaviours[image.digest] = Behaviour(prints=(f"hello from v{number}", "ready"))
    w.upgrade("v1")
    w.clock.sleep(1)
    w.upgrade("v2")


def test_logs_of_all_that_run_come_in_order_of_time_each_with_its_version(w: World) -> None:
    chatty(w)
    lines = [(one.name, one.line.text) for one in logs(SHOP, None, w.s)]
    assert lines == [("v1", "hello from v1"), ("v1", "ready"), ("v2", "hello from v2"), ("v2", "ready")]
    assert [one.version for one in logs(SHOP, V1, w.s)] == ["v1", "v1"]
    assert [one.line.text for one in logs(SHOP, None, w.s, grep="hello")] == ["hello from v1", "hello from v2"]


def test_logs_of_what_never_ran_are_not_found_and_a_negative_tail_is_wrong(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NotFound):
        logs(SHOP, V3, w.s)
    with pytest.raises(Invalid):
        logs(SHOP, V1, w.s, tail=-1)


# -- doctor -------------------------------------------------------------------------------------------------------
def checkup(w: World) -> dict[str, tuple[bool, str]]:
    return {f.name: (f.ok, f.message) for f in doctor(Settings(w.home), lambda: w.s)}


def test_a_sound_server_has_no_finding_that_is_not_ok(w: World) -> None:
    w.upgraded("v1", "v2")
    found = checkup(w)
    assert {name: text for name, (ok, text) in found.items() if not ok} == {}
    assert found.keys() >= {"python", "clock", "disk", "ledger", "engine", "HAProxy", "network pool", "config/shop.toml"}


def test_the_doctor_goes_on_when_the_ledger_is_unusable(w: World) -> None:
    def build() -> Services:
        raise LedgerUnusable("it is empty", remedy=["put a good copy back"])

    found = doctor(Settings(w.home), build)
    assert [(f.ok, f.message, f.fix) for f in found if f.name == "ledger"] == [(False, "it is empty", "put a good copy back")]
    assert any(f.name == "disk" for f in found)


def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(w: World) -> None:
    w.upgraded("v1")
    w.guard.down.add(w.ledger.apps()[0].bridge)
    w.traffic.edit("haproxy.cfg was edited by hand")
    w.add_file(AppName("blog"), port="eighty")
    w.engine.add_stranger("stray", image="sha256:" + "0" * 64, labels={"deployctl.home": str(w.home)})
    w.ledger.open_deployment(Plan(SHOP, PlanKind.UPGRADE, 1, 2, (), ""), actor="ci (cli)", note="", at=w.clock.utc(), token=9)
    wrong = {name: text for name, (ok, text) in checkup(w).items() if not ok}
    assert wrong.keys() == {"bridge", "drift", "config/blog.toml", "strangers", "deployment"}
    assert "stray" in wrong["strangers"]


def test_the_doctor_tells_an_engine_that_is_away_and_goes_on(w: World) -> None:
    w.upgraded("v1")
    w.engine.away = "it was stopped"
    found = checkup(w)
    assert found["engine"][0] is False
    assert found["HAProxy"][0] is True


def test_an_app_beside_another_has_its_own_line(w: World) -> None:
    blog = AppName("blog")
    w.add_file(blog)
    w.upgraded("v1")
    upgrade(blog, V1, w.s)
    assert [(view.app, view.state) for view in status(w.s).apps] == [("blog", "healthy"), ("shop", "healthy")]
