"""`rollback --abort`: it does not wait, and the process that was changing the app does nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployctl.domain.change.deployment import Phase
from deployctl.domain.inputs.names import Version
from deployctl.errors import DeployctlError, LeaseHeld, NothingToGoBackTo
from deployctl.ports import ContainerFacts
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.stop import stop
from deployctl.usecases.results import Moved
from tests.unit.mortal import Died
from tests.unit.world import SHOP, YES, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def going_back(w: World, told: list[Moved]) -> Callable[[], None]:
    """Return a second person who rolls back from a process of their own."""
    def act() -> None:
        other = w.open_ledger()
        try:
            told.append(rollback(SHOP, w.services(actor="jonas (cli)", ledger=other), options=YES, abort=True))
        finally:
            other.close()

    return act


def overtaken(w: World, version: str, *, after: float) -> Moved:
    """Upgrade, and let the second person roll back that many seconds later."""
    told: list[Moved] = []
    w.clock.after(after, going_back(w, told))
    with pytest.raises(LeaseHeld, match="taken over"):
        w.upgrade(version)
    (moved,) = told
    return moved


def test_before_the_switch_it_goes_to_the_standby(w: World) -> None:
    w.upgraded("v1", "v2")
    w.sick["v3"] = 503
    moved = overtaken(w, "v3", after=1)
    assert (moved.source, moved.target) == ("v2", "v1")
    assert w.serving == "v1"
    back, upgrade = w.ledger.deployments(SHOP)[:2]
    assert (back.phase, upgrade.phase) == (Phase.SUCCEEDED, Phase.REVERTED)
    assert "jonas (cli) rolled back" in (upgrade.error or "")
    assert w.ledger.find_lease(SHOP) is None


def test_under_watch_it_goes_to_where_the_traffic_was(w: World) -> None:
    w.edit(watch="30s")
    w.upgraded("v1")
    moved = overtaken(w, "v2", after=5)
    assert moved.target == w.serving == "v1"
    assert [r.version for r in w.ledger.releases(SHOP) if r.hold] == ["v2"]
    assert w.ledger.deployments(SHOP)[1].phase is Phase.REVERTED


def test_a_candidate_that_still_runs_is_stopped_by_reconcile(w: World) -> None:
    w.upgraded("v1", "v2")
    w.sick["v3"] = 503
    overtaken(w, "v3", after=1)
    assert "v3" in w.running()
    assert [(line.repair, line.done) for line in reconcile(w.s).lines] == [("stop it", True)]
    assert w.running() == {"v1", "v2"}


def test_who_dies_before_his_own_rollback_begins_leaves_one_that_goes_back(w: World) -> None:
    w.edit(watch="30s")
    w.upgraded("v1")
    killed: list[str] = []

    def dies() -> None:
        other = w.open_ledger()
        s = w.services(actor="jonas (cli)", ledger=other)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(other, "open_deployment", die)
            with pytest.raises(Died):
                rollback(SHOP, s, options=YES, abort=True)
        killed.append(str(other.find_open(SHOP)))
        other.close()

    w.clock.after(5, dies)
    with pytest.raises(LeaseHeld):
        w.upgrade("v2")
    assert "None" not in killed
    assert w.serving == "v2"
    reconcile(w.s)
    assert w.serving == w.active == "v1"
    assert w.ledger.deployments(SHOP)[0].phase is Phase.REVERTED


def die(*_: object, **__: object) -> None:
    raise Died


def test_what_the_candidate_left_goes_with_the_next_prune(w: World) -> None:
    w.upgraded("v1", "v2")
    w.sick["v3"] = 503
    overtaken(w, "v3", after=1)
    w.use(prune)
    assert {i.release for i in w.ledger.instances(SHOP)} == {1, 2}
    assert w.running() == {"v1", "v2"}


def test_with_nothing_under_way_it_is_an_ordinary_rollback(w: World) -> None:
    w.upgraded("v1", "v2")
    told: list[Moved] = []
    going_back(w, told)()
    assert told[0].target == w.serving == "v1"
    assert [r.version for r in w.ledger.releases(SHOP) if r.hold] == ["v2"]


def test_an_upgrade_that_only_retires_has_succeeded_and_is_gone_back_from(w: World) -> None:
    w.edit(keep_warm=0, drain="60s")
    w.upgraded("v1")
    w.traffic.hold_open(SHOP, 1, 3)
    assert overtaken(w, "v2", after=5).target == w.serving == "v1"
    assert w.ledger.deployments(SHOP)[1].phase is Phase.SUCCEEDED


def test_what_is_just_being_stopped_is_nothing_to_go_back_to(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    told: list[Moved] = []
    stop_container = w.engine.ensure_stopped

    def meanwhile(container: str, *, grace: float) -> ContainerFacts:
        with pytest.raises(LeaseHeld, match=r"v2 is being started or stopped right now \(shop stop\)"):
            going_back(w, told)()
        return stop_container(container, grace=grace)

    monkeypatch.setattr(w.engine, "ensure_stopped", meanwhile)
    stop(SHOP, Version("v2"), w.s, options=YES)
    assert (told, w.serving, w.running()) == ([], None, {"v1"})
    monkeypatch.undo()
    assert rollback(SHOP, w.s, options=YES).target == w.serving == "v2"


def test_what_the_other_is_bringing_up_is_nothing_to_go_back_to(w: World) -> None:
    w.upgraded("v1", "v2")
    stop(SHOP, Version("v1"), w.s, options=YES)
    w.sick["v1"] = 503
    told: list[Moved] = []
    refused: list[str] = []

    def act() -> None:
        try:
            going_back(w, told)()
        except LeaseHeld as e:
            refused.append(e.message)

    w.clock.after(1, act)
    with pytest.raises(DeployctlError, match="503"):
        w.upgrade("v1")
    assert (told, w.serving) == ([], "v2")
    assert "v1 is being started or stopped right now" in refused[0]


def test_what_is_refused_disturbs_nobody(w: World) -> None:
    w.edit(watch="30s")
    refused: list[DeployctlError] = []

    def try_it() -> None:
        with pytest.raises(NothingToGoBackTo) as refusal:
            rollback(SHOP, w.s, options=YES, abort=True)
        refused.append(refusal.value)

    w.clock.after(5, try_it)
    assert w.upgrade("v1").target == w.serving == "v1"
    assert len(refused) == 1
