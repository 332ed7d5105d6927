"""What stays warm, what stays stopped, what goes: the rollback target is never removed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.change.retention import Retirement, retire
from deployctl.domain.change.serving import find_previous
from deployctl.domain.images.release import Policy
from tests.unit.facts import Past


def after_upgrade(keep_warm: int, keep_stopped: int = 5, releases: int = 6) -> Past:
    """Return the moment when the last of some releases begins to serve, and all the others still run."""
    return Past(releases, Policy(keep_warm=keep_warm, keep_stopped=keep_stopped)).upgrade(*range(1, releases))


def retired(past: Past, *, active: int, left: int | None) -> Retirement:
    return retire(past.facts, active=active, left=left)


@pytest.mark.parametrize(
    ("keep_warm", "warm", "stop"), [(0, (), (5, 4, 3, 2, 1)), (1, (5,), (4, 3, 2, 1)), (2, (5, 4), (3, 2, 1))]
)
def test_as_many_stay_warm_as_asked_for_the_last_to_serve_first(
    keep_warm: int, warm: tuple[int, ...], stop: tuple[int, ...]
) -> None:
    going = retired(after_upgrade(keep_warm), active=6, left=5)
    assert (going.warm, going.stop) == (warm, stop)


def test_without_warm_ones_what_serves_still_runs() -> None:
    assert 6 not in retired(after_upgrade(0), active=6, left=5).stop


def test_stopped_containers_beyond_keep_stopped_go_oldest_serving_first() -> None:
    going = retired(after_upgrade(1, 2), active=6, left=5)
    assert going.prune == (2, 1)


def test_age_is_counted_by_serving_and_not_by_number() -> None:
    past = after_upgrade(1, 1, releases=4)  # 1, 2, 3 have served in this order
    past.stopped = {2, 3}
    past.upgrade(1)
    assert retired(past, active=4, left=1).prune == (2,), "1 is warm, 3 served after 2"


def test_what_runs_beside_is_spared_and_does_not_count() -> None:
    past = after_upgrade(1, 0)
    past.beside = {2, 3}
    going = retired(past, active=6, left=5)
    assert going.warm == (5,)
    assert not {2, 3} & {*going.stop, *going.prune}


def test_beside_and_stopped_is_like_any_other() -> None:
    past = after_upgrade(1, 0)
    past.beside, past.stopped = {2}, {2}
    assert 2 in retired(past, active=6, left=5).prune


def test_the_last_failed_one_is_kept_for_inspection_and_the_others_go() -> None:
    past = after_upgrade(1, 5, releases=6)
    past.failed = past.stopped = {1, 3, 4}
    going = retired(past, active=6, left=5)
    assert set(going.prune) == {1, 3}
    assert not {1, 3, 4} & {*going.warm, *going.stop}


def test_a_failed_one_that_still_runs_is_stopped_and_never_counts_as_warm() -> None:
    past = after_upgrade(2)
    past.failed = {4}
    going = retired(past, active=6, left=5)
    assert going.warm == (5, 3)
    assert 4 in going.stop


def test_what_runs_unknown_to_haproxy_is_not_warm_and_is_stopped() -> None:
    past = after_upgrade(1)
    past.unrouted = {5}
    going = retired(past, active=6, left=4)
    assert going.warm == (4,)
    assert 5 in going.stop


def test_what_has_just_stopped_serving_is_never_pruned() -> None:
    assert 5 not in retired(after_upgrade(0, 0), active=6, left=5).prune


def test_the_rollback_target_is_never_pruned_whatever_the_counts_say() -> None:
    past = after_upgrade(0, 0, releases=5).rollback(2)
    for number in (3, 4):
        past.hold(number)
    past.stopped = {1, 3, 4}
    going = retired(past, active=2, left=None)
    assert set(going.prune) == {3, 4, 5}, "1 is where a rollback goes from here"


FEW = st.integers(0, 3)
SOME = st.frozensets(st.integers(1, 6))


@given(st.lists(st.integers(1, 6), max_size=12), FEW, FEW, st.tuples(SOME, SOME, SOME, SOME, SOME))
def test_clean_up_never_takes_what_serves_what_is_warm_or_where_a_rollback_goes(
    served: list[int], keep_warm: int, keep_stopped: int, marks: tuple[frozenset[int], ...]
) -> None:
    past = Past(6, Policy(keep_warm=keep_warm, keep_stopped=keep_stopped)).upgrade(*served)
    stopped, removed, beside, failed, held = marks
    past.stopped, past.removed, past.beside, past.failed = set(stopped), set(removed), set(beside), set(failed)
    for number in held:
        past.hold(number)
    going = retire(past.facts, active=past.active, left=None)
    back = find_previous(past.facts)
    runs = {one.release for one in past.facts.running}
    assert not {past.active, *going.warm, back and back.number} & set(going.prune)
    assert set(going.stop) <= runs
    assert set(going.warm) <= runs
    assert not {past.active, *going.warm} & set(going.stop)
    assert not {n for n in beside & runs if n not in removed} & {*going.stop, *going.prune}
    assert len(going.warm) <= keep_warm


def test_tries_that_were_rolled_back_take_no_place_of_versions_that_served_well() -> None:
    past = Past(6, Policy(keep_warm=1, keep_stopped=2)).upgrade(1, 2, 3)
    for number in (4, 5, 6):
        past.upgrade(number).rollback(3).hold(number)
    past.stopped = {1, 2, 4, 5}
    going = retired(past, active=3, left=6)
    assert going.warm == (6,)
    assert going.prune == (4,), "5 is the last of them that is stopped; 1 and 2 can be gone back to"
