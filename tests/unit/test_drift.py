"""Where the actual state contradicts the ledger: each contradiction is named, and has the repair that it needs or
none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployctl.domain.change.drift import Drift, DriftKind, Repair, find_drift
from deployctl.domain.change.facts import ActualState, AppSnapshot, NetworkState
from deployctl.domain.change.plan import StepKind
from deployctl.domain.change.repair_plan import plan_repair
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.release import Policy, Resources, Restart
from tests.unit.facts import BUNDLE, SHOP, Past


def seen(n: int, **other: object) -> ActualState:
    made = ActualState(f"id{n}", f"shop--v{n}", BUNDLE.digest, "running", (f"172.30.0.{n + 1}",),
                       InstanceId(n), True, BUNDLE.resources,
                Restart.ALWAYS)
    return replace(made, **other)  # type: ignore[arg-type]  # fields of Seen, by name


def snapshot(past: Past, *containers: ActualState, there: bool = True, guarded: bool = True, up: bool = True,
          **other: object) -> AppSnapshot:
    networks = (NetworkState(past.facts.app.own_network, there, guarded, up),)
    made = AppSnapshot(past.facts, containers, proxy=True, app_networks=networks)
    return replace(made, **other)  # type: ignore[arg-type]  # as above


@pytest.fixture
def two() -> Past:
    """v2 serves, v1 is its warm standby."""
    return Past(2).upgrade(1, 2)


def told(drifts: list[Drift]) -> list[tuple[DriftKind, Repair | None, int | None]]:
    return [(drift.kind, drift.repair, drift.release) for drift in drifts]


def test_a_world_as_the_ledger_says_has_no_drift(two: Past) -> None:
    assert find_drift(snapshot(two, seen(1), seen(2))) == []


TABLE = [
    (seen(2, status="exited", addresses=()), (DriftKind.STOPPED, Repair.START)),
    (seen(2, status="created", addresses=()), (DriftKind.STOPPED, Repair.START)),
    (seen(2, status="dead", addresses=()), (DriftKind.STOPPED, Repair.REMAKE)),
    (seen(2, status="paused"), (DriftKind.PAUSED, Repair.START)),
    (seen(2, status="restarting", addresses=()), None),
    (seen(2, addresses=("172.30.0.44",)), (DriftKind.MOVED, Repair.REMAKE)),
    (seen(2, addresses=()), (DriftKind.MOVED, Repair.REMAKE)),
    (seen(2, name="shop-renamed"), (DriftKind.RENAMED, Repair.RENAME)),
    (seen(2, limits=Resources(memory=2**20)), (DriftKind.LIMITS, Repair.LIMIT)),
    (seen(2, limits=None, restart=None), None),
    (seen(2, restart=Restart.NEVER), (DriftKind.RESTARTS, Repair.RESTART)),
    (seen(2, restart=Restart.UNLESS_STOPPED), (DriftKind.FORMER_RESTART, Repair.RESTART)),
    (seen(2, id="another"), (DriftKind.REPLACED, Repair.ADOPT)),
    (seen(2, image="sha256:" + "b" * 64), (DriftKind.OTHER_IMAGE, Repair.REMAKE)),
    (seen(2, image="sha256:" + "b" * 64, id="another", status="exited"), (DriftKind.OTHER_IMAGE, Repair.REMAKE)),
    (seen(2, networks=frozenset()), None),
    (seen(2, networks=frozenset({"backend"})), (DriftKind.CONNECTED, None)),
]


@pytest.mark.parametrize(("container", "drift"), TABLE)
def test_each_change_to_what_serves_is_named_and_has_its_mend(
    two: Past, container: ActualState, drift: tuple[DriftKind, Repair | None] | None
) -> None:
    found = find_drift(snapshot(two, seen(1), container))
    assert told(found) == ([] if drift is None else [(*drift, 2)])
    assert all("v2" in one.sentence for one in found)


def test_what_was_removed_is_made_again_the_active_one_first(two: Past) -> None:
    found = find_drift(snapshot(two))
    assert told(found) == [(DriftKind.REMOVED, Repair.CREATE, 2), (DriftKind.REMOVED, Repair.CREATE, 1)]
    assert "which is live" in found[0].sentence


def test_what_failed_and_was_removed_is_forgotten(two: Past) -> None:
    two = replace(two, releases=3, failed={3}, stopped={3})
    assert told(find_drift(snapshot(two, seen(1), seen(2)))) == [(DriftKind.REMOVED, Repair.FORGET, 3)]


def test_what_is_kept_stopped_may_be_stopped_and_is_stopped_again_when_it_runs(two: Past) -> None:
    two = replace(two, stopped={1})
    assert find_drift(snapshot(two, seen(1, status="exited", addresses=()), seen(2))) == []
    assert told(find_drift(snapshot(two, seen(1), seen(2)))) == [(DriftKind.RUNS, Repair.STOP, 1)]
    assert told(find_drift(snapshot(replace(two, failed={1}), seen(1), seen(2)))) == [(DriftKind.RUNS, None, 1)]


def test_a_standby_beyond_keep_warm_is_expired_and_not_started_again(two: Past) -> None:
    none = replace(two, policy=Policy(keep_warm=0))
    for status in ("running", "exited"):
        found = find_drift(snapshot(none, seen(1, status=status), seen(2)))
        assert told(found) == [(DriftKind.EXPIRED, Repair.STOP, 1)]


def test_nothing_expires_while_haproxy_and_ledger_disagree(two: Past) -> None:
    none = replace(two, policy=Policy(keep_warm=0))
    for other in ({"proxy": False}, {"facts": replace(none.facts, serving=1)}):
        found = find_drift(snapshot(none, seen(1), seen(2), **other))
        assert DriftKind.EXPIRED not in {drift.kind for drift in found}


def test_a_lost_route_is_given_back_and_the_ledger_follows_another_one(two: Past) -> None:
    lost = snapshot(two, seen(1), seen(2), facts=replace(two.facts, serving=None))
    assert told(find_drift(lost)) == [(DriftKind.ROUTE, Repair.SWITCH, 2)]
    other = snapshot(two, seen(1), seen(2), facts=replace(two.facts, serving=1))
    assert told(find_drift(other)) == [(DriftKind.TRAFFIC, Repair.FOLLOW, 1)]
    asked_nobody = replace(lost, proxy=False)
    assert find_drift(asked_nobody) == []


def test_an_app_that_was_stopped_gets_no_traffic_back() -> None:
    past = replace(Past(2).upgrade(1, 2).stop(), stopped={2})
    assert find_drift(snapshot(past, seen(1), seen(2, status="exited", addresses=()))) == []


STRAYS = [
    (seen(9, id="x", name="x", sealed=False), (DriftKind.STRANGER, None)),
    (seen(9, id="x", name="x"), (DriftKind.UNKNOWN, None)),  # runs, and no release of the ledger
    (seen(9, id="x", name="x", status="exited"), (DriftKind.UNKNOWN, None)),  # perhaps the ledger is an old copy
    (seen(9, id="x", name="x", status="created"), (DriftKind.UNKNOWN, Repair.REMOVE)),
    (seen(1, id="x", name="x"), (DriftKind.UNKNOWN, Repair.REMOVE)),  # stands beside the one that its release has
    (seen(2, id="x", name="x", status="exited"), (DriftKind.UNKNOWN, None)),  # its release serves: nobody decides but a person
]


@pytest.mark.parametrize(("stray", "drift"), STRAYS)
def test_what_the_ledger_does_not_know_goes_only_when_it_is_ours_and_needed_by_nobody(
    two: Past, stray: ActualState, drift: tuple[DriftKind, Repair | None]
) -> None:
    [found] = find_drift(snapshot(two, seen(1), seen(2), stray))
    assert (found.kind, found.repair, found.container) == (*drift, "x")


def test_what_lies_around_the_containers_is_named(two: Past) -> None:
    both = seen(1), seen(2)
    assert told(find_drift(snapshot(two, *both, guarded=False))) == [(DriftKind.GUARD, Repair.GUARD, None)]
    assert told(find_drift(snapshot(two, *both, there=False))) == [(DriftKind.NETWORK, Repair.NETWORK, None)]
    assert told(find_drift(snapshot(two, *both, up=False))) == [(DriftKind.BRIDGE, None, None)]
    assert told(find_drift(snapshot(two, *both, tags=("deployctl/shop:r7-abcdef",)))) == [(DriftKind.IMAGE, Repair.UNTAG, None)]


def test_what_stood_in_a_network_that_is_gone_is_made_again(two: Past) -> None:
    found = find_drift(snapshot(two, seen(1), seen(2, status="exited", addresses=()), there=False))
    assert (DriftKind.STOPPED, Repair.REMAKE, 2) in told(found)


def test_an_engine_that_is_away_makes_no_container_drift(two: Past) -> None:
    assert find_drift(snapshot(two, seen=None)) == []


def test_every_sentence_names_the_app(two: Past) -> None:
    found = find_drift(snapshot(two, guarded=False, there=False, tags=("t",), facts=replace(two.facts, serving=None)))
    assert len(found) > 4
    assert all(str(SHOP) in drift.sentence for drift in found)


# -- the plan ------------------------------------------------------------------------------------------------------
def test_the_plan_brings_up_what_serves_first_and_stops_last(two: Past) -> None:
    past = replace(two, releases=3, removed={2}, stopped={3}, policy=Policy(keep_warm=0))
    view = snapshot(past, seen(1), seen(3), facts=replace(past.facts, serving=None))
    plan = plan_repair(view, find_drift(view))
    assert [(step.kind, step.release) for step in plan.steps] == [
        (StepKind.IMAGE, 2), (StepKind.NETWORK, 2), (StepKind.CREATE, 2), (StepKind.START, 2), (StepKind.ROUTE, 2),
        (StepKind.SWITCH, 2), (StepKind.DRAIN, 3), (StepKind.STOP, 3)]
    assert (plan.source, plan.target) == (2, 2)


def test_what_need_not_run_is_made_and_not_started(two: Past) -> None:
    past = replace(two, stopped={1}, removed=set())
    view = snapshot(past, seen(2))
    view = replace(view, facts=replace(view.facts, present=frozenset({InstanceId(2)})))
    plan = plan_repair(view, find_drift(view))
    assert [step.kind for step in plan.steps] == [StepKind.IMAGE, StepKind.NETWORK, StepKind.CREATE]


# -- networks of others -----------------------------------------------------------------------------------------------
def joining(two: Past, *names: str) -> Past:
    """Let v2 be a release that joins these networks."""
    return two.edit(2, components=(Component(replace(BUNDLE, networks=names)),))


def test_a_network_that_was_lost_is_joined_again_whether_it_runs_or_not(two: Past) -> None:
    joining(two, "backend", "cache")
    here = frozenset({"backend", "cache"})
    lost = seen(2, networks=frozenset({"cache"}))
    for container in (lost, replace(lost, status="exited", addresses=())):
        assert (DriftKind.DISCONNECTED, Repair.CONNECT, 2) in told(find_drift(snapshot(two, seen(1), container, networks=here)))


def test_a_network_that_is_gone_is_a_persons_to_make(two: Past) -> None:
    joining(two, "backend")
    found = find_drift(snapshot(two, seen(1), seen(2, networks=frozenset()), networks=frozenset()))
    assert told(found) == [(DriftKind.DISCONNECTED, None, 2)]
    assert "docker network create backend" in found[0].sentence


def test_what_was_connected_by_hand_is_told_with_the_line_that_keeps_it(two: Past) -> None:
    joining(two, "backend")
    everything = frozenset({"backend", "metrics"})
    [found] = find_drift(snapshot(two, seen(1), seen(2, networks=everything), networks=everything))
    assert (found.kind, found.repair) == (DriftKind.CONNECTED, None)
    assert 'networks = ["backend", "metrics"] to config/shop.toml' in found.sentence
