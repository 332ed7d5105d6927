"""Promises about the phase table: they hold for the phase that somebody adds next year."""

from __future__ import annotations

import pytest

from deployctl.domain.change.deployment import BEGINS, NEXT_PHASES, IllegalTransition, Phase, advance, begin
from deployctl.domain.change.plan import StepKind

CLOSED = {phase for phase in Phase if not NEXT_PHASES[phase]}
EVENTS = {event for moves in NEXT_PHASES.values() for event in moves}


def reachable(phase: Phase) -> set[Phase]:
    seen, found = set[Phase](), {phase}
    while found:
        seen |= found
        found = {after for one in found for after in NEXT_PHASES[one].values()} - seen
    return seen


def test_every_phase_stands_in_the_table() -> None:
    assert set(NEXT_PHASES) == set(Phase)


@pytest.mark.parametrize("phase", Phase)
def test_every_open_phase_can_end(phase: Phase) -> None:
    assert CLOSED & reachable(phase), f"{phase} is a dead end"


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_but_the_first_is_reached_from_it(phase: Phase) -> None:
    assert phase in reachable(Phase.PLANNED)


@pytest.mark.parametrize("phase", sorted(set(Phase) - CLOSED - {Phase.DRAINING, Phase.REVERTING}))
def test_before_the_promotion_every_phase_can_still_be_reverted(phase: Phase) -> None:
    assert advance(advance(phase, "failed"), "reverted") is Phase.REVERTED


def test_after_the_promotion_nothing_is_reverted() -> None:
    assert not {Phase.REVERTED, Phase.REVERTING} & reachable(Phase.DRAINING)


def test_what_is_closed_stays_closed() -> None:
    assert {Phase.SUCCEEDED, Phase.REVERTED, Phase.STUCK} == CLOSED
    assert all(reachable(phase) == {phase} for phase in CLOSED)


@pytest.mark.parametrize("phase", Phase)
def test_an_illegal_move_raises_and_changes_nothing(phase: Phase) -> None:
    before = {one: dict(moves) for one, moves in NEXT_PHASES.items()}
    for event in EVENTS - NEXT_PHASES[phase].keys() | {"", "no such event"}:
        with pytest.raises(IllegalTransition, match=str(phase)):
            advance(phase, event)
    assert before == NEXT_PHASES


def test_success_before_the_switch_is_only_for_plans_that_do_not_switch() -> None:
    assert "done" not in NEXT_PHASES[Phase.BAKING], "what has switched ends by a promotion or goes back"


@pytest.mark.parametrize("kind", StepKind)
def test_no_step_moves_a_phase_backwards(kind: StepKind) -> None:
    order = [Phase.PLANNED, Phase.PROBING, Phase.SHIFTING, Phase.BAKING, Phase.DRAINING]
    for phase in order:
        assert order.index(begin(phase, kind)) >= order.index(phase)


def test_a_step_may_skip_phases_that_its_plan_does_not_need() -> None:
    assert begin(Phase.PLANNED, StepKind.SWITCH) is Phase.SHIFTING
    assert begin(Phase.PLANNED, StepKind.PROMOTE) is Phase.BAKING
    assert begin(Phase.PLANNED, StepKind.IMAGE) is Phase.PLANNED


def test_only_real_steps_and_events_stand_in_the_table_of_beginnings() -> None:
    assert BEGINS.keys() <= set(StepKind)
    assert {event for events in BEGINS.values() for event in events} <= EVENTS
