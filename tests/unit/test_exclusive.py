"""Exclusive components: the former version ends before the next one's program begins, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.plan import Step, StepKind
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Restart
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import Aborted, DeployctlError, NotHealthy
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.reconcile import preview_reconcile, reconcile
from tests.unit.test_components import kinds, states
from tests.unit.world import SHOP, YES, World, world

CLOCK = ComponentName("clock")
SCHEDULER: dict[str, Any] = {"components": {"clock": {"kind": "exclusive", "command": ["tick"], "health": {"uptime": "1s"}}}}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def at_work(w: World, component: str) -> set[str]:
    """Return the versions of a component whose program runs now: one that waits at the lock does not count."""
    return {c.labels["deployctl.version"] for c in w.engine.containers()
            if c.labels.get("deployctl.component") == component and c.running and not w.engine.is_waiting(c.id)}


def watched(w: World, component: str) -> list[set[str]]:
    """Return what runs of that component at the beginning of each step from now on."""
    seen: list[set[str]] = []
    w.told.begin = lambda step: seen.append(at_work(w, component))  # type: ignore[method-assign]
    return seen


# -- a scheduler beside the web ---------------------------------------------------------------------------------------------
def test_a_scheduler_is_handed_over_before_the_switch_and_clients_do_not_wait(w: World) -> None:
    w.edit(**SCHEDULER)
    w.upgraded("v1")
    seen = watched(w, "clock")
    w.upgraded("v2")
    assert all(len(each) <= 1 for each in seen)
    assert kinds(w) == [
        "image web", "image clock", "network", "create web", "create clock", "start web", "health web", "start clock",
        "route", "hand_over clock", "health clock", "gate", "switch", "promote", "work", "rest"]
    assert at_work(w, "clock") == {"v2"}
    assert states(w) == {"v1 web": "running", "v1 clock": "stopped", "v2 web": "running", "v2 clock": "running"}
    assert not preview_reconcile(w.s).lines


@pytest.mark.parametrize("keys", [{"kind": "exclusive"}, SCHEDULER], ids=["clients reach it", "a scheduler"])
def test_the_very_first_version_is_restarted_by_the_engine_too(w: World, keys: dict[str, Any]) -> None:
    w.edit(**keys)
    w.upgraded("v1")
    assert all(w.engine.restarts_always(c.id) for c in w.engine.containers())
    assert not preview_reconcile(w.s).lines


def test_a_rollback_moves_the_traffic_first_and_the_scheduler_after(w: World) -> None:
    w.edit(**SCHEDULER)
    w.upgraded("v1", "v2")
    seen = watched(w, "clock")
    w.rollback()
    assert kinds(w) == ["health web", "switch", "promote", "work", "rest"]
    assert all(len(each) <= 1 for each in seen)
    assert at_work(w, "clock") == {"v1"}
    assert not preview_reconcile(w.s).lines


def test_a_scheduler_that_does_not_come_up_leaves_the_former_one_at_work(w: World) -> None:
    w.edit(**SCHEDULER)
    w.upgraded("v1")
    w.edit(components={"clock": {**SCHEDULER["components"]["clock"], "command": ["crash"]}})
    w.engine.behaviours["crash",] = Behaviour(exits=3)
    seen = watched(w, "clock")
    with pytest.raises(NotHealthy, match=r"clock of v2"):
        w.upgrade("v2")
    assert all(len(each) <= 1 for each in seen)
    assert (w.serving, at_work(w, "clock")) == ("v1", {"v1"})
    assert not preview_reconcile(w.s).lines


# -- what clients reach -----------------------------------------------------------------------------------------------------
def test_clients_wait_while_what_they_reach_is_handed_over(w: World) -> None:
    w.edit(kind="exclusive", max_gap="12s")
    w.upgraded("v1")
    queued: list[tuple[str, bool]] = []
    w.told.begin = lambda step: queued.append((step.kind, SHOP in w.traffic.queues()))  # type: ignore[method-assign]
    moved = w.upgrade("v2")
    assert moved.target == "v2"
    assert kinds(w) == ["image web", "network", "create web", "start web", "route", "queue", "hand_over web", "health web",
                        "gate", "switch", "resume", "promote", "drain", "stop"]
    assert [kind for kind, waits in queued if waits] == ["hand_over", "health", "gate", "switch", "resume"]
    assert not w.traffic.queues()
    assert (w.serving, at_work(w, "web")) == ("v2", {"v2"})
    assert w.engine.restarts_always(w.ledger.find_instance(SHOP, InstanceId(2)).name)  # type: ignore[union-attr]
    assert not preview_reconcile(w.s).lines


def test_what_fails_in_the_gap_brings_the_former_version_back_and_lets_clients_go_on(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    assert (w.serving, w.active, at_work(w, "web")) == ("v1", "v1", {"v1"})
    assert not w.traffic.queues()
    assert w.engine.restarts_always(w.ledger.find_instance(SHOP, InstanceId(1)).name)  # type: ignore[union-attr]
    assert not preview_reconcile(w.s).lines


def test_a_rollback_of_it_asks_and_hands_over_again(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1", "v2")
    with pytest.raises(DeployctlError, match="not instant"):
        w.rollback(confirmed=False)
    seen = watched(w, "web")
    assert w.rollback().target == "v1"
    assert all(len(each) <= 1 for each in seen)
    assert at_work(w, "web") == {"v1"}
    assert kinds(w)[:4] == ["start web", "route", "queue", "hand_over web"]
    assert not preview_reconcile(w.s).lines


def test_what_needs_it_begins_in_the_gap_and_only_while_its_version_is_live(w: World) -> None:
    w.edit(needs={"store": "healthy"}, components={
        "store": {"kind": "exclusive", "port": 7000}, "api": {"port": 9000},
        "migrate": {"kind": "job", "command": ["migrate"], "needs": {"store": "healthy"}},
        "worker": {"health": {"uptime": "1s"}, "needs": {"store": "healthy"}}})
    w.engine.behaviours["migrate",] = Behaviour(exits=0)
    w.upgraded("v1", "v2")
    assert kinds(w)[kinds(w).index("queue"):] == [
        "queue", "hand_over store", "health store", "start web", "health web", "job migrate", "gate", "switch", "resume",
        "promote", "work", "rest", "drain", "stop"]
    assert states(w) == {
        **{f"v1 {name}": "stopped" for name in ("web", "store", "api", "migrate", "worker")},
        "v2 web": "running", "v2 store": "running", "v2 api": "running", "v2 migrate": "stopped", "v2 worker": "running"}


# -- trouble on the way -----------------------------------------------------------------------------------------------------
def test_a_program_that_gives_its_lock_away_is_refused(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1")
    w.edit(command=["closes-all"])
    w.engine.behaviours["closes-all",] = Behaviour(loses_lock=True)
    with pytest.raises(NotHealthy, match="does not hold its lock") as told:
        w.upgrade("v2")
    assert told.value.code == "lock_lost"
    assert (w.serving, at_work(w, "web")) == ("v1", {"v1"})


def test_where_the_former_one_cannot_be_brought_back_a_person_is_called(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1")
    w.sick["v2"] = 503
    w.sick["v1"] = 503
    with pytest.raises(DeployctlError) as told:
        w.upgrade("v2")
    assert told.value.code == "attention_needed"
    assert "could not be brought back whole" in told.value.message


def test_a_component_that_becomes_exclusive_waits_for_the_former_one_without_a_lock(w: World) -> None:
    w.edit(components={"clock": {"command": ["tick"], "health": {"uptime": "1s"}}})
    w.upgraded("v1")
    w.edit(**SCHEDULER)
    seen = watched(w, "clock")
    w.upgraded("v2")
    assert all(len(each) <= 1 for each in seen)
    assert "start clock" not in kinds(w)
    assert at_work(w, "clock") == {"v2"}
    seen.clear()
    w.rollback()
    assert all(len(each) <= 1 for each in seen)
    assert kinds(w)[-2:] == ["rest", "work"]
    assert at_work(w, "clock") == {"v1"}


def test_an_abort_in_the_gap_goes_back(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1")

    def stop(step: Step) -> None:
        if step.kind is StepKind.GATE:
            w.ledger.ask_abort(SHOP, actor="jonas")

    w.told.begin = stop  # type: ignore[method-assign]
    with pytest.raises(Aborted):
        w.upgrade("v2")
    assert (w.serving, at_work(w, "web"), w.traffic.queues()) == ("v1", {"v1"}, {})


def test_one_that_ended_by_itself_is_started_again(w: World) -> None:
    w.edit(kind="exclusive", **SCHEDULER)
    w.upgraded("v1")
    for one in w.ledger.instances(SHOP):
        w.engine.ensure_stopped(one.name, grace=1)
    reconcile(w.s, options=YES)
    assert (at_work(w, "web"), at_work(w, "clock")) == ({"v1"}, {"v1"})
    assert w.engine.find_container(w.ledger.instances(SHOP)[0].name).restart is Restart.ALWAYS  # type: ignore[union-attr]
