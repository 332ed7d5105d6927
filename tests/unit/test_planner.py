"""A plan is decided before anything is touched, from facts alone; upgrade, rollback and undo differ only in where to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from deployctl.domain.change.plan import Plan, PlanKind, StepKind
from deployctl.domain.change.planner import plan_move, plan_prune, plan_start, plan_stop, spoken
from deployctl.domain.images.release import Policy, Probe, ProbeKind
from tests.unit.facts import Past

S = StepKind
BOOT = [S.IMAGE, S.NETWORK, S.CREATE, S.START, S.HEALTH, S.ROUTE, S.GATE]


def kinds(plan: Plan, release: int | None = None) -> list[StepKind]:
    return [step.kind for step in plan.steps if release in {None, step.release}]


def move(past: Past, kind: PlanKind, number: int) -> Plan:
    return plan_move(past.facts, kind, past.facts.releases[number])


# -- moves --------------------------------------------------------------------------------------------------------
def test_a_first_version_boots_is_proven_and_only_then_gets_the_traffic() -> None:
    past = Past(1)
    past.removed = {1}
    plan = move(past, PlanKind.UPGRADE, 1)
    assert kinds(plan) == [*BOOT, S.SWITCH, S.PROMOTE]
    assert (plan.source, plan.target, plan.warm) == (None, 1, False)
    assert plan.summary == "shop: first version v1"


def test_nothing_of_the_active_release_is_touched_before_the_promotion() -> None:
    past = Past(3, Policy(keep_warm=0)).upgrade(1, 2)
    past.removed = {3}
    plan = move(past, PlanKind.UPGRADE, 3)
    promoted = kinds(plan).index(S.PROMOTE)
    assert {step.release for step in plan.steps[: promoted + 1]} == {3}
    assert kinds(plan, 2) == [S.DRAIN, S.STOP]
    assert all(step.kind in {S.DRAIN, S.STOP, S.PRUNE} for step in plan.steps[promoted + 1 :])


def test_the_standby_is_not_stopped_to_make_room_before_the_switch() -> None:
    past = Past(3, Policy(keep_warm=1)).upgrade(1, 2)
    past.removed = {3}
    plan = move(past, PlanKind.UPGRADE, 3)
    assert kinds(plan, 2) == []
    assert kinds(plan).index(S.PROMOTE) < [step.release for step in plan.steps].index(1)


def test_a_rollback_to_a_warm_release_boots_nothing() -> None:
    plan = move(Past(2).upgrade(1, 2), PlanKind.ROLLBACK, 1)
    assert kinds(plan) == [S.HEALTH, S.SWITCH, S.PROMOTE]
    assert plan.warm


@pytest.mark.parametrize("kind", [PlanKind.ROLLBACK, PlanKind.UNDO])
def test_a_rollback_to_a_stopped_one_starts_it_and_to_a_removed_one_makes_it_again(kind: PlanKind) -> None:
    past = Past(2).upgrade(1, 2)
    past.stopped = {1}
    assert kinds(move(past, kind, 1)) == [S.START, S.HEALTH, S.ROUTE, S.GATE, S.SWITCH, S.PROMOTE]
    past.removed = {1}
    assert kinds(move(past, kind, 1)) == [*BOOT, S.SWITCH, S.PROMOTE]
    assert not move(past, kind, 1).warm


def test_one_that_runs_but_was_never_proven_has_to_pass_the_whole_trial_and_be_routed() -> None:
    past = Past(2).upgrade(1).edit(2, proven_at=None)
    assert kinds(move(past, PlanKind.UPGRADE, 2)) == [S.HEALTH, S.ROUTE, S.GATE, S.SWITCH, S.PROMOTE]


def test_an_upgrade_to_a_warm_release_still_renews_its_address_at_haproxy() -> None:
    assert kinds(move(Past(2).upgrade(1, 2), PlanKind.UPGRADE, 1)) == [S.HEALTH, S.ROUTE, S.GATE, S.SWITCH, S.PROMOTE]


def test_a_retry_of_a_failed_one_gets_a_fresh_container() -> None:
    past = Past(2).upgrade(1).edit(2, proven_at=None, failure="it did not become healthy")
    past.failed = past.stopped = {2}
    assert kinds(move(past, PlanKind.UPGRADE, 2)) == [*BOOT, S.SWITCH, S.PROMOTE]


def test_only_an_upgrade_is_watched_under_traffic_and_only_when_asked_for() -> None:
    past = Past(2, Policy(watch=30)).upgrade(1, 2)
    assert S.WATCH in kinds(move(past, PlanKind.UPGRADE, 1))
    assert S.WATCH not in kinds(move(past, PlanKind.ROLLBACK, 1)) + kinds(move(Past(2).upgrade(1, 2), PlanKind.UPGRADE, 1))


def test_between_switch_and_promotion_stands_nothing_but_the_watch() -> None:
    steps = kinds(move(Past(2, Policy(watch=30)).upgrade(1, 2), PlanKind.UPGRADE, 1))
    assert steps[steps.index(S.SWITCH) :] == [S.SWITCH, S.WATCH, S.PROMOTE]


# -- start, stop, prune -------------------------------------------------------------------------------------------
def test_a_start_moves_no_traffic() -> None:
    past = Past(2).upgrade(1)
    past.removed = {2}
    plan = plan_start(past.facts, past.facts.releases[2])
    assert kinds(plan) == BOOT
    assert plan.source == 1


def test_stopping_a_standby_drains_it_and_moves_no_traffic() -> None:
    past = Past(2).upgrade(1, 2)
    plan = plan_stop(past.facts, past.facts.releases[1])
    assert (kinds(plan), plan.source, plan.target) == ([S.DRAIN, S.STOP], 2, 2)


def test_stopping_the_active_one_takes_the_traffic_away_first() -> None:
    past = Past(2).upgrade(1, 2)
    plan = plan_stop(past.facts, past.facts.releases[2])
    assert (kinds(plan), plan.source, plan.target) == ([S.SWITCH, S.PROMOTE, S.DRAIN, S.STOP], 2, None)


def test_prune_removes_every_failed_one_and_counts_containers_not_steps() -> None:
    past = Past(6, Policy(keep_warm=1, keep_stopped=1)).upgrade(1, 2, 3, 4)
    past.failed, past.stopped = {5, 6}, {1, 5, 6}
    plan = plan_prune(past.facts)
    assert {step.release for step in plan.steps if step.kind is S.PRUNE} == {1, 5, 6}
    assert kinds(plan, 2) == [S.DRAIN, S.STOP]
    assert plan.summary == "shop: stop 1 container and remove 3 containers"


def test_prune_with_nothing_to_remove_has_no_steps() -> None:
    plan = plan_prune(Past(2).upgrade(1, 2).facts)
    assert (plan.steps, plan.summary) == ((), "shop: nothing to remove")


# -- a plan is data -----------------------------------------------------------------------------------------------
def test_a_plan_comes_back_from_the_journal_as_it_was() -> None:
    for kind in (PlanKind.UPGRADE, PlanKind.ROLLBACK, PlanKind.UNDO):
        plan = move(Past(3, Policy(keep_warm=0, watch=1)).upgrade(1, 2), kind, 1)
        assert Plan.from_dict(json.loads(json.dumps(asdict(plan)))) == plan


def test_the_same_facts_give_the_same_plan() -> None:
    past = Past(6, Policy(keep_warm=1, keep_stopped=1)).upgrade(1, 2, 3, 4)
    assert move(past, PlanKind.ROLLBACK, 2) == move(past, PlanKind.ROLLBACK, 2)


def test_every_step_says_what_it_does_and_to_which_version() -> None:
    past = Past(4, Policy(keep_warm=0, keep_stopped=0, watch=5)).upgrade(1, 2, 3)
    past.removed = {4}
    for step in move(past, PlanKind.UPGRADE, 4).steps:
        assert f"v{step.release}" in step.sentence or step.kind is S.NETWORK
        assert step.sentence[0].islower() or step.sentence.startswith("v")


def test_probes_are_spoken_as_people_read_them() -> None:
    http = Probe(path="/healthz")
    kinds_of_probes = {ProbeKind.TCP: "TCP connect", ProbeKind.DOCKER: "the image's own HEALTHCHECK"}
    assert spoken(http) == "GET /healthz"
    assert spoken(Probe(kind=ProbeKind.EXEC, command=("pg_isready", "-q"))) == "command pg_isready -q"
    assert {kind: spoken(replace(http, kind=kind)) for kind in kinds_of_probes} == kinds_of_probes
