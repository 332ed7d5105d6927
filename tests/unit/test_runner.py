"""Whatever fails, and wherever: before the promotion everything is reverted, after it nothing is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import Step, StepKind
from deployctl.domain.images.component import InstanceId
from deployctl.errors import (
    Aborted,
    AttentionNeeded,
    DeployctlError,
    EngineRefused,
    EngineUnavailable,
    Interrupted,
    LeaseHeld,
    NotHealthy,
    RevertedAfterSwitch,
    Serving,
    SwitchRefused,
)
from deployctl.execution.actions import STEP_ACTIONS
from deployctl.execution.runner import StepAct, Walk
from deployctl.ports import LogLine
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.steps import execute
from tests.unit.world import SHOP, V1, V2, World, world

S = StepKind
BEFORE = [S.IMAGE, S.NETWORK, S.CREATE, S.START, S.HEALTH, S.ROUTE, S.SWITCH, S.WATCH, S.PROMOTE]


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let something happen before, or with `after` after, the act of every step of that kind."""
    planted: dict[StepKind, StepAct] = dict(STEP_ACTIONS)

    def plant(kind: StepKind, happen: Callable[[], object], *, after: bool = False) -> None:
        real = STEP_ACTIONS[kind]

        def act(walk: Walk, step: Step) -> str:
            if after:
                real(walk, step)
            happen()
            return "" if after else real(walk, step)

        planted[kind] = act
        monkeypatch.setattr(execute, "STEP_ACTIONS", planted)

    return plant


def fails(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def breaks() -> None:
    raise DeployctlError("it broke")


def world_but_releases(w: World) -> dict[str, object]:
    return {key: value for key, value in w.everything().items() if key not in {"releases"}}


def phase(w: World) -> Phase:
    assert w.ledger.find_open(SHOP) is None, "every deployment that was begun has an end"
    return w.ledger.deployments(SHOP)[0].phase


# -- before the promotion -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [False, True], ids=["before its act", "after its act"])
@pytest.mark.parametrize("kind", BEFORE[:-1])
@pytest.mark.parametrize("error", [DeployctlError, KeyboardInterrupt, ZeroDivisionError])
def test_a_failure_at_any_step_before_the_promotion_takes_everything_back(
    w: World, during: Callable[..., None], kind: StepKind, *, after: bool, error: type[BaseException]
) -> None:
    w.upgraded("v1")
    w.edit(watch="1s", listen=9000)
    before = world_but_releases(w)
    during(kind, fails(error("it broke")), after=after)
    with pytest.raises(Interrupted if error is KeyboardInterrupt else error) as raised:
        w.upgrade("v2", confirmed=True)
    assert world_but_releases(w) == before
    assert phase(w) is Phase.REVERTED
    assert w.ledger.find_lease(SHOP) is None
    if isinstance(raised.value, DeployctlError):
        assert raised.value.serving == Serving("shop", "v1", 1, 1, "127.0.0.1:8000")


@pytest.mark.parametrize("kind", [*BEFORE[:-2], S.PROMOTE])
def test_a_first_version_that_fails_leaves_no_container_network_route_or_image_tag(
    w: World, during: Callable[..., None], kind: StepKind
) -> None:
    during(kind, breaks)
    with pytest.raises(DeployctlError, match="it broke"):
        w.upgrade("v1")
    assert (w.engine.containers(), w.engine.networks(), w.traffic.routes(), w.guard.routes) == ([], [], {}, set())
    image = w.engine.images.find("acme/shop:v1")
    assert image is not None
    assert image.tags == ("acme/shop:v1",)
    table = w.ledger.table(bridged=True)
    assert (table.listens, table.backends) == ({}, ())
    assert w.ledger.db.execute("select count(*) from port_leases")[0][0] == 0
    assert w.ledger.db.execute("select count(*) from address_leases")[0][0] == 0


@pytest.mark.parametrize("kind", [S.START, S.HEALTH, S.ROUTE, S.SWITCH, S.PROMOTE])
def test_a_cold_rollback_that_fails_leaves_the_stopped_one_stopped_and_ready_for_another_try(
    w: World, during: Callable[..., None], kind: StepKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V1)
    before = w.everything()
    during(kind, breaks)
    with pytest.raises(DeployctlError, match="it broke"):
        w.rollback()
    assert w.everything() == before
    monkeypatch.undo()
    assert w.rollback().target == "v1"


def test_a_ledger_that_cannot_promote_sends_the_traffic_back(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1")
    full = DeployctlError("no space left for the ledger")
    monkeypatch.setattr(w.ledger, "promote", lambda *args, **words: fails(full)())
    with pytest.raises(DeployctlError, match="no space left"):
        w.upgrade("v2")
    assert (w.serving, w.active, w.containers()) == ("v1", "v1", {"v1": "running"})


def test_a_switch_that_haproxy_does_not_confirm_is_taken_back_and_quoted(w: World) -> None:
    w.upgraded("v1")
    w.traffic.refuse_next("it said something else")
    with pytest.raises(SwitchRefused, match="something else"):
        w.upgrade("v2")
    assert (w.serving, phase(w)) == ("v1", Phase.REVERTED)


def test_traffic_that_cannot_be_moved_back_calls_a_person(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1")

    def stick() -> None:
        w.traffic.refuse_next("it is stuck", times=2)
        breaks()

    during(S.PROMOTE, stick)
    with pytest.raises(AttentionNeeded, match=r"it broke And the traffic could not be moved back") as raised:
        w.upgrade("v2")
    assert raised.value.exit_code == 4
    assert phase(w) is Phase.STUCK
    assert w.serving == "v2"
    assert "v2" in w.containers(), "what serves is never taken away"


def test_a_switch_that_never_happened_needs_no_way_back(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1")
    refused = SwitchRefused("the bridge is not up")

    def refuse_twice() -> None:
        w.traffic.refuse_next("the bridge is not up")
        raise refused

    during(S.SWITCH, refuse_twice)
    with pytest.raises(SwitchRefused):
        w.upgrade("v2")
    assert phase(w) is Phase.REVERTED


def test_what_cannot_be_taken_back_is_told_beside_the_cause_and_never_hides_it(
    w: World, during: Callable[..., None]
) -> None:
    w.upgraded("v1")
    for _ in range(2):
        w.engine.fail_next("remove", EngineUnavailable("Docker is not responding"))
    during(S.HEALTH, breaks)
    with pytest.raises(DeployctlError, match="it broke") as raised:
        w.upgrade("v2")
    assert any("could not revert “create the container of v2”" in line for line in raised.value.details)
    assert w.serving == "v1"


def test_what_could_not_be_taken_back_is_cleared_away_by_the_next_upgrade(
    w: World, during: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    w.upgraded("v1")

    def away() -> None:
        w.engine.away = "it was stopped"
        breaks()

    during(S.ROUTE, away)
    with pytest.raises(DeployctlError, match="it broke"):
        w.upgrade("v2")
    monkeypatch.undo()
    w.engine.away = None
    assert w.containers() == {"v1": "running", "v2": "running"}
    w.upgrade("v3")
    assert w.containers() == {"v1": "running", "v2": "stopped", "v3": "running"}


# -- a candidate that fails by itself -----------------------------------------------------------------------------
def digest(w: World, version: str) -> str:
    image = w.engine.images.find(f"acme/shop:{version}")
    assert image is not None
    return image.digest


def test_a_candidate_that_never_gets_healthy_is_kept_stopped_with_the_evidence(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    w.engine.behaviours[digest(w, "v2")] = Behaviour(prints=("cannot reach the database",))
    with pytest.raises(NotHealthy, match=r"v2 did not become healthy: GET / gave 503 for 5 s") as raised:
        w.upgrade("v2")
    assert "  cannot reach the database" in raised.value.details
    assert w.containers() == {"v1": "running", "v2": "stopped"}
    ended = w.ledger.deployments(SHOP)[0]
    assert ended.evidence == tuple(raised.value.details)
    failed = w.ledger.find_instance(SHOP, InstanceId(2))
    assert failed is not None
    assert (failed.failed, failed.routed) == (True, False)
    assert not w.engine.restarts_always(failed.container or "")
    assert w.release("v2").failure == raised.value.message


def test_only_the_last_failed_candidate_is_kept(w: World) -> None:
    w.upgraded("v1")
    for version in ("v2", "v3"):
        w.sick[version] = 503
        with pytest.raises(NotHealthy):
            w.upgrade(version)
    assert w.containers() == {"v1": "running", "v3": "stopped"}


def test_a_retry_gets_a_fresh_container_and_when_it_is_well_nothing_tells_of_the_failure(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    before = w.ledger.find_instance(SHOP, InstanceId(2))
    w.sick.clear()
    w.upgrade("v2")
    after = w.ledger.find_instance(SHOP, InstanceId(2))
    assert before is not None
    assert after is not None
    assert before.container != after.container
    assert (after.failed, w.release("v2").failure) == (False, None)
    assert w.containers() == {"v1": "running", "v2": "running"}


def test_one_that_ends_at_once_is_told_without_waiting_for_the_deadline(w: World) -> None:
    w.upgraded("v1")
    w.engine.behaviours[digest(w, "v2")] = Behaviour(exits=3)
    begun = w.clock.now()
    with pytest.raises(NotHealthy, match="v2 exited with code 3"):
        w.upgrade("v2")
    assert w.clock.now() - begun < 3


def test_one_that_cannot_even_start_is_kept_with_what_docker_said(w: World) -> None:
    w.upgraded("v1")
    w.engine.behaviours[digest(w, "v2")] = Behaviour(refused="exec: no such file")
    with pytest.raises(EngineRefused, match=r"v2 did not start: .*no such file"):
        w.upgrade("v2")
    assert w.containers() == {"v1": "running", "v2": "stopped"}
    assert "no such file" in (w.release("v2").failure or "")


def test_an_engine_that_goes_away_is_not_the_candidates_own_failure(w: World) -> None:
    w.upgraded("v1")
    w.engine.fail_next("start", EngineUnavailable("Docker is not responding"))
    with pytest.raises(EngineUnavailable):
        w.upgrade("v2")
    assert w.containers() == {"v1": "running"}
    assert w.release("v2").failure is None


def test_one_whose_container_somebody_removed_leaves_nothing_behind(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = "connection refused"

    def remove() -> None:
        found = w.engine.find_container(next(i.container or "" for i in w.ledger.instances(SHOP) if i.release == 2))
        assert found is not None
        w.engine.ensure_removed(found.id)

    w.clock.after(2, remove)
    with pytest.raises(NotHealthy, match="was removed by someone"):
        w.upgrade("v2")
    assert {i.release for i in w.ledger.instances(SHOP)} == {1}


def test_a_rollback_target_that_fails_stays_as_it_was_and_is_not_called_failed(w: World) -> None:
    w.upgraded("v1", "v2")
    w.sick["v1"] = 503
    with pytest.raises(NotHealthy):
        w.rollback()
    warm = w.ledger.find_instance(SHOP, InstanceId(1))
    assert warm is not None
    assert (warm.failed, warm.routed, w.containers()["v1"], w.serving) == (False, True, "running", "v2")
    assert w.release("v1").proven_at
    w.sick.clear()
    assert w.rollback().target == "v1"
    assert w.release("v1").failure is None


def test_one_that_fails_under_traffic_goes_back_by_itself(w: World) -> None:
    w.upgraded("v1")
    w.edit(watch="30s")
    w.clock.after(5, lambda: w.sick.update(v2=500))
    with pytest.raises(RevertedAfterSwitch, match="Traffic was switched back automatically") as raised:
        w.upgrade("v2")
    assert raised.value.exit_code == 9
    assert (w.serving, w.active, w.containers()) == ("v1", "v1", {"v1": "running", "v2": "stopped"})
    assert w.release("v2").proven_at is None, "what failed before it was promoted is not what its version means"
    assert [c.target for c in w.ledger.changes(SHOP)] == [1]


def test_one_that_fails_under_traffic_is_held_but_never_with_what_serves_again(w: World) -> None:
    w.upgraded("v1")
    w.edit(watch="30s")
    w.clock.after(5, lambda: w.sick.update(v2=500))
    with pytest.raises(RevertedAfterSwitch):
        w.upgrade("v2")
    assert w.held() == {"v2"}
    begun = w.clock.now()

    def fail_later(asked: object) -> int:
        return 500 if w.clock.now() - begun > 5 and w.traffic.routes() == {SHOP: 3} else 200

    w.prober.script = fail_later
    with pytest.raises(RevertedAfterSwitch):
        w.upgrade("v1", env={"MODE": "sale"})
    assert w.traffic.routes() == {SHOP: 1}
    assert w.held() == {"v2"}


def test_the_watch_lasts_as_long_as_the_file_says_now(w: World) -> None:
    w.upgraded("v1")
    w.edit(watch="30s")
    begun = w.clock.now()
    w.upgrade("v2")
    assert w.clock.now() - begun >= 30


# -- at and after the promotion -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [S.DRAIN, S.STOP, S.PRUNE])
@pytest.mark.parametrize("after", [False, True])
def test_a_failure_after_the_promotion_is_a_warning_and_the_deployment_succeeded(
    w: World, during: Callable[..., None], kind: StepKind, *, after: bool
) -> None:
    w.edit(keep_stopped=0, keep_warm=0)
    w.upgraded("v1", "v2")
    during(kind, breaks, after=after)
    moved = w.upgrade("v3")
    assert (moved.target, w.serving, w.active, phase(w)) == ("v3", "v3", "v3", Phase.SUCCEEDED)
    assert any("it broke" in text for text in moved.warnings)


def test_a_step_after_the_promotion_that_fails_once_is_taken_once_more(w: World) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1", "v2")
    w.engine.fail_next("stop", EngineUnavailable("Docker is not responding"), after=True)
    assert w.upgrade("v3").warnings == ()
    assert w.containers() == {"v1": "stopped", "v2": "stopped", "v3": "running"}


def test_what_stays_away_after_the_promotion_is_waited_for_once_only(w: World) -> None:
    w.edit(keep_warm=0, keep_stopped=0)
    w.upgraded("v1", "v2")
    for verb in ("stop", "stop", "remove"):
        w.engine.fail_next(verb, EngineUnavailable("Docker is not responding"))
    assert len(w.upgrade("v3").warnings) == 2
    assert w.containers() == {"v1": "stopped", "v2": "running", "v3": "running"}


def test_what_was_left_over_by_a_failed_retirement_retires_with_the_next_change(
    w: World, during: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    w.upgraded("v1", "v2")
    during(S.STOP, breaks)
    w.upgrade("v3")
    assert w.running() == {"v1", "v2", "v3"}
    monkeypatch.undo()
    w.upgrade("v4")
    assert w.running() == {"v3", "v4"}


def test_haproxy_failing_to_learn_of_a_hold_does_not_undo_a_rollback(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    monkeypatch.setattr(w.traffic, "refresh_previews", breaks)
    moved = w.rollback()
    assert (moved.target, w.serving, w.active, w.held(), phase(w)) == ("v1", "v1", "v1", {"v2"}, Phase.SUCCEEDED)
    assert moved.warnings


def test_an_app_that_is_deaf_to_its_stop_signal_is_told(w: World) -> None:
    w.edit(keep_warm=0)
    w.engine.behaviours[digest(w, "v1")] = Behaviour(deaf=True)
    w.upgraded("v1")
    assert any("did not stop within stop_grace" in text for text in w.upgrade("v2").warnings)


def test_open_requests_are_waited_for_and_then_closed(w: World) -> None:
    w.edit(keep_warm=0, drain="10s")
    w.upgraded("v1")
    w.traffic.hold_open(SHOP, 1, 3)
    begun = w.clock.now()
    moved = w.upgrade("v2")
    assert w.clock.now() - begun >= 10
    assert any("3 still open after 10 s were closed" in step.message for step in moved.steps)


def test_requests_that_end_in_time_are_not_cut(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.edit(keep_warm=0, drain="10s")
    w.upgraded("v1")
    w.traffic.hold_open(SHOP, 1, 3)
    monkeypatch.setattr(w.traffic, "cut", fails(AssertionError("cut")))
    w.clock.after(2, lambda: w.traffic.hold_open(SHOP, 1, 0))
    moved = w.upgrade("v2")
    assert any(step.message == "no open requests" for step in moved.steps)


# -- signals ------------------------------------------------------------------------------------------------------
def strike() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", [S.SWITCH, S.PROMOTE])
def test_a_signal_at_the_switch_waits_until_ledger_and_haproxy_agree(
    w: World, during: Callable[..., None], kind: StepKind
) -> None:
    w.upgraded("v1")
    during(kind, strike)
    with pytest.raises(Interrupted, match="is done, but was interrupted") as raised:
        w.upgrade("v2")
    assert (w.serving, w.active, phase(w)) == ("v2", "v2", Phase.SUCCEEDED)
    assert raised.value.serving is not None
    assert raised.value.serving.version == "v2"


def test_a_signal_at_the_switch_of_a_watched_upgrade_goes_back(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1")
    w.edit(watch="30s")
    during(S.SWITCH, strike)
    with pytest.raises(Interrupted, match="and reverted"):
        w.upgrade("v2")
    assert (w.serving, w.active, phase(w)) == ("v1", "v1", Phase.REVERTED)


@pytest.mark.parametrize("after", [False, True])
def test_a_signal_at_the_promotion_of_a_watched_upgrade_does_not_split_ledger_and_haproxy(
    w: World, during: Callable[..., None], *, after: bool
) -> None:
    w.upgraded("v1")
    w.edit(watch="1s")
    during(S.PROMOTE, strike, after=after)
    with pytest.raises(Interrupted, match="is done"):
        w.upgrade("v2")
    assert (w.serving, w.active, phase(w)) == ("v2", "v2", Phase.SUCCEEDED)


def test_a_second_signal_does_not_stop_the_way_back(
    w: World, during: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    w.upgraded("v1")
    before = world_but_releases(w)
    removed = w.engine.ensure_removed

    def strike_and_remove(container: str) -> None:
        strike()
        removed(container)

    monkeypatch.setattr(w.engine, "ensure_removed", strike_and_remove)
    during(S.HEALTH, strike)
    with pytest.raises(Interrupted, match="and reverted"):
        w.upgrade("v2")
    assert world_but_releases(w) == before


def test_a_signal_while_draining_leaves_what_is_done_done(w: World, during: Callable[..., None]) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1")
    during(S.DRAIN, strike)
    with pytest.raises(Interrupted, match="is done"):
        w.upgrade("v2")
    assert (w.serving, w.active, phase(w), w.running()) == ("v2", "v2", Phase.SUCCEEDED, {"v1", "v2"})


# -- others who want something ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", BEFORE[:-1])
def test_who_asks_to_stop_before_the_promotion_is_heard(w: World, during: Callable[..., None], kind: StepKind) -> None:
    w.upgraded("v1")
    w.edit(watch="1s")
    before = world_but_releases(w)
    during(kind, lambda: w.ledger.ask_abort(SHOP, actor="jonas (web)"))
    with pytest.raises(Aborted, match=r"jonas \(web\) asked to stop this upgrade"):
        w.upgrade("v2")
    assert world_but_releases(w) == before
    assert phase(w) is Phase.REVERTED


def test_who_asks_to_stop_while_it_waits_for_health_is_heard_at_once(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    w.edit(health={"deadline": "60s"})
    w.clock.after(2, lambda: w.ledger.ask_abort(SHOP, actor="jonas (web)"))
    begun = w.clock.now()
    with pytest.raises(Aborted):
        w.upgrade("v2")
    assert w.clock.now() - begun < 20
    assert w.containers() == {"v1": "running"}


def test_who_asks_to_stop_after_the_promotion_is_too_late(w: World, during: Callable[..., None]) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1")
    during(S.PROMOTE, lambda: w.ledger.ask_abort(SHOP, actor="jonas (web)"), after=True)
    assert w.upgrade("v2").target == "v2"
    assert w.running() == {"v2"}


@pytest.mark.parametrize("kind", BEFORE[:-1])
@pytest.mark.parametrize("after", [False, True])
def test_a_process_whose_lease_was_taken_over_does_nothing_more(
    w: World, during: Callable[..., None], kind: StepKind, *, after: bool
) -> None:
    w.upgraded("v1")
    w.edit(watch="1s")
    found: list[dict[str, Any]] = []

    def steal() -> None:
        w.ledger.db.execute("update leases set token = token + 1, holder = 'jonas (web)'")
        if after:
            found.append(w.everything())

    during(kind, steal, after=after)
    with pytest.raises(LeaseHeld, match="taken over"):
        w.upgrade("v2")
    if found:
        assert w.everything() == found[0]
    opened = w.ledger.find_open(SHOP)
    assert opened is not None, "whoever has the lease settles it"
    assert w.ledger.db.execute("select holder from leases")[0][0] == "jonas (web)"


def test_a_process_whose_lease_was_taken_over_while_it_retired_does_nothing_more(
    w: World, during: Callable[..., None]
) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1")
    during(S.DRAIN, lambda: w.ledger.db.execute("update leases set token = token + 1"), after=True)
    with pytest.raises(LeaseHeld, match="taken over"):
        w.upgrade("v2")
    assert w.running() == {"v1", "v2"}
    assert w.ledger.find_open(SHOP) is not None


def test_a_ledger_that_was_only_locked_for_long_is_no_lost_lease(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1")
    busy = LeaseHeld("the ledger was locked by another process for 5 s")
    monkeypatch.setattr(w.ledger, "promote", lambda *args, **words: fails(busy)())
    with pytest.raises(LeaseHeld, match="locked"):
        w.upgrade("v2")
    assert (w.serving, w.active, phase(w)) == ("v1", "v1", Phase.REVERTED)


# -- plans without a switch ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [S.IMAGE, S.CREATE, S.START, S.HEALTH, S.ROUTE])
def test_a_start_that_fails_leaves_nothing(w: World, during: Callable[..., None], kind: StepKind) -> None:
    w.upgraded("v1")
    before = world_but_releases(w)
    during(kind, breaks, after=True)
    with pytest.raises(DeployctlError, match="it broke"):
        w.use(start, V2)
    assert world_but_releases(w) == before
    assert phase(w) is Phase.REVERTED


def test_a_stop_that_fails_is_not_recorded_as_a_success(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1", "v2")
    during(S.STOP, breaks)
    with pytest.raises(DeployctlError, match="it broke"):
        w.use(stop, V1)
    ended = w.ledger.deployments(SHOP)[0]
    assert (ended.phase, ended.error) == (Phase.STUCK, "it broke")
    assert w.serving == "v2"


def test_a_prune_that_fails_before_it_did_anything_changed_nothing(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1", "v2", "v3")
    w.edit(keep_stopped=0)
    w.upgrade("v3")
    before = w.everything()
    during(S.PRUNE, breaks)
    with pytest.raises(DeployctlError, match="it broke"):
        w.use(prune)
    assert (phase(w), w.everything()) == (Phase.REVERTED, before)


def test_an_interrupted_prune_says_that_it_can_be_typed_again(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1", "v2", "v3")
    w.edit(keep_stopped=0)
    w.upgrade("v3")
    during(S.PRUNE, fails(KeyboardInterrupt()))
    with pytest.raises(Interrupted, match="run the command again"):
        w.use(prune)


# -- the journal --------------------------------------------------------------------------------------------------
def test_the_journal_holds_every_step_of_the_plan_in_order_with_its_time(w: World) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1", "v2")
    (told,) = w.told.plans[-1:]
    rows = w.ledger.steps(w.ledger.deployments(SHOP)[0].id)
    assert [(r["seq"], r["kind"], r["release"], r["sentence"]) for r in rows] == [
        (seq, step.kind, step.release, step.sentence) for seq, step in enumerate(told.steps)]
    assert all(r["ok"] and r["ms"] >= 0 and r["finished_at"] for r in rows)


def test_the_intent_is_written_before_the_act(w: World, during: Callable[..., None]) -> None:
    written: list[str] = []

    def look() -> None:
        opened = w.ledger.find_open(SHOP)
        assert opened is not None
        row = w.ledger.steps(opened.id)[-1]
        written.append(f"{row['kind']} {row['ok']} {opened.phase}")

    during(S.SWITCH, look)
    w.upgrade("v1")
    assert written == ["switch None shifting"]


def test_the_failed_step_is_in_the_journal_with_its_reason(w: World, during: Callable[..., None]) -> None:
    w.upgraded("v1")
    during(S.ROUTE, breaks)
    with pytest.raises(DeployctlError):
        w.upgrade("v2")
    rows = w.ledger.steps(w.ledger.deployments(SHOP)[0].id)
    assert [(r["kind"], r["ok"], r["text"]) for r in rows][-1] == ("route", 0, "it broke")
    assert w.told.ended[-1][1] is False


def test_logs_that_cannot_be_read_do_not_hide_why_it_failed(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **words: object) -> Iterator[LogLine]:
        raise EngineUnavailable("Docker is not responding")

    w.upgraded("v1")
    w.sick["v2"] = 503
    monkeypatch.setattr(w.engine, "logs", away)
    with pytest.raises(NotHealthy, match="503"):
        w.upgrade("v2")


def test_an_upgrade_to_the_first_version_again_is_found_in_its_history(w: World) -> None:
    w.upgraded("v1", "v2", "v1")
    assert [c.target for c in w.ledger.changes(SHOP)] == [1, 2, 1]
    assert w.rollback().target == V2
    assert w.version(1) == V1
