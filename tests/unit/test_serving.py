"""The rollback target comes from the serving history: never by age, never forward, never what is known to be bad."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.change.serving import MAX_SERVING_STACK, find_previous, why_nothing
from tests.unit.facts import Past, made


def goes_to(past: Past) -> int | None:
    found = find_previous(past.facts)
    return found.number if found else None


# -- the chain ----------------------------------------------------------------------------------------------------
def test_the_first_version_has_nothing_behind_it() -> None:
    past = Past(1).upgrade(1)
    assert goes_to(past) is None
    assert why_nothing(past.facts) == "no other version has been live yet"


def test_each_rollback_goes_one_further_back_and_never_forward() -> None:
    past = Past(3).upgrade(1, 2, 3)
    assert goes_to(past) == 2
    assert goes_to(past.rollback(2)) == 1
    assert goes_to(past.rollback(1)) is None


def test_an_upgrade_after_a_rollback_goes_back_to_what_served_before_it() -> None:
    assert goes_to(Past(4).upgrade(1, 2, 3).rollback(2).upgrade(4)) == 2


def test_a_version_that_was_undone_is_not_what_served_before_the_next() -> None:
    assert goes_to(Past(3).upgrade(1, 2).undo().upgrade(3)) == 1


def test_after_an_undo_the_same_release_is_behind_as_before() -> None:
    past = Past(3).upgrade(1, 2, 3).rollback(2).undo()
    assert (past.active, goes_to(past)) == (3, 2)
    assert goes_to(past.undo()) == 1


def test_after_an_upgrade_to_an_earlier_version_the_one_that_it_replaced_is_behind() -> None:
    past = Past(3).upgrade(1, 2, 3, 2)
    assert goes_to(past) == 3
    assert goes_to(past.rollback(3)) == 2, "its first stay was before version 3"
    assert goes_to(past.rollback(2)) == 1
    assert goes_to(past.rollback(1)) is None


def test_an_upgrade_to_the_active_release_does_not_lengthen_the_chain() -> None:
    assert goes_to(Past(2).upgrade(1, 2, 2)) == 1


def test_after_the_active_one_was_stopped_it_is_the_one_to_go_back_to() -> None:
    past = Past(2).upgrade(1, 2).stop()
    assert goes_to(past) == 2
    assert goes_to(past.hold(2)) == 1


def test_a_stop_in_between_does_not_break_the_chain() -> None:
    assert goes_to(Past(3).upgrade(1, 2).stop().upgrade(3)) == 2
    assert goes_to(Past(3).upgrade(1, 2).stop().upgrade(2)) == 1
    assert goes_to(Past(3).upgrade(1, 2).stop().rollback(2)) == 1
    assert goes_to(Past(3).upgrade(1, 2).stop().undo()) == 1


def test_going_to_a_named_version_ahead_goes_back_along_the_way_that_led_there() -> None:
    past = Past(3).upgrade(1, 2, 3).rollback(1).rollback(3)
    assert goes_to(past) == 2


# -- who is skipped -----------------------------------------------------------------------------------------------
def test_a_held_version_is_skipped() -> None:
    assert goes_to(Past(3).upgrade(1, 2, 3).hold(2)) == 1


def test_a_release_that_was_never_proven_is_skipped() -> None:
    assert goes_to(Past(3).upgrade(1, 2, 3).edit(2, proven_at=None)) == 1


def test_a_release_that_never_served_is_no_target() -> None:
    assert goes_to(Past(3).upgrade(1, 3)) == 1


def test_a_release_that_was_forgotten_with_its_app_is_skipped() -> None:
    facts = Past(3).upgrade(1, 2, 3).facts
    found = find_previous(replace(facts, releases={1: made(1), 3: made(3)}))
    assert found is not None
    assert found.number == 1


def test_one_that_failed_when_it_was_last_tried_is_the_last_choice() -> None:
    past = Past(3).upgrade(1, 2, 3).edit(2, failure="it did not become healthy")
    assert goes_to(past) == 1
    assert goes_to(past.hold(1)) == 2, "its health gate judges anew; better than nothing to go back to"


def test_why_nothing_names_each_held_version_once() -> None:
    past = Past(3).upgrade(1, 2, 3)
    past.edited = {1: replace(made(1, "v1"), hold=past.hold(1).edited[1].hold), 2: replace(past.edited[1], number=2)}
    assert why_nothing(past.facts) == "v1 is on hold and no other version was live before"
    assert "v1, v2 are on hold" in why_nothing(Past(3).upgrade(1, 2, 3).hold(1).hold(2).facts)
    assert why_nothing(Past(2).upgrade(1, 2).rollback(1).facts) == "no version was live before this one"


# -- any history --------------------------------------------------------------------------------------------------
@dataclass
class Node:
    """The same history as a tree: an upgrade grows it, everything else moves in it."""

    release: int
    parent: Node | None

    def up(self) -> list[Node]:
        return [self, *(self.parent.up() if self.parent else [])]


MOVES = st.lists(st.one_of(st.tuples(st.just("upgrade"), st.integers(1, 5)), st.just(("rollback", 0)),
                           st.just(("undo", 0)), st.tuples(st.sampled_from(["hold", "unhold"]), st.integers(1, 5))))


@given(MOVES)
def test_whatever_happened_a_rollback_goes_to_the_nearest_earlier_stay_that_is_fit(moves: list[tuple[str, int]]) -> None:
    past, here, left = Past(5), None, None
    for kind, number in moves:
        if kind in {"hold", "unhold"}:
            past.edited.pop(number, None) if kind == "unhold" else past.hold(number)
        elif kind == "upgrade":
            here, left = (here if here and here.release == number else Node(number, here)), here
            past.upgrade(number)
        elif kind == "undo" and left is not None:
            here, left = left, here
            past.undo()
        elif kind == "rollback" and here is not None:
            fit = [n for n in here.up() if n.release != here.release and n.release not in past.edited]
            assert goes_to(past) == (fit[0].release if fit else None)
            if fit:
                past.hold(here.release)
                here, left = fit[0], here
                past.rollback(here.release)
        assert past.active == (here.release if here else None)


@given(st.lists(st.sampled_from(["rollback", "undo"]), max_size=20))
def test_without_an_upgrade_nothing_newer_than_the_last_upgrade_can_come(moves: list[str]) -> None:
    past = Past(4).upgrade(1, 2, 3, 4)
    for kind in moves:
        before = past.active
        number = goes_to(past)
        assert number != before
        if kind == "undo":
            past.undo()
        elif number is not None:
            assert before is not None
            assert number < before
            past.rollback(number)


def test_the_chain_has_an_end_however_long_the_history() -> None:
    past = Past(5)
    for turn in range(3 * MAX_SERVING_STACK):
        past.upgrade(1 + turn % 5)
    assert len(past.changes[0].chain) == MAX_SERVING_STACK
    assert goes_to(past) == 1 + (3 * MAX_SERVING_STACK - 2) % 5
