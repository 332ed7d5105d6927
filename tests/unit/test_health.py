"""Rise and fall count answers in a row; the transcript forgets nothing that its reader needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.change.probes import Health, Transcript

ANSWERS = st.lists(st.booleans())
COUNT = st.integers(1, 5)


def fed(health: Health, answers: list[bool]) -> Health:
    for ok in answers:
        health = health.seen(ok=ok)
    return health


def test_one_bad_answer_begins_the_count_anew() -> None:
    assert not fed(Health(rise=2, fall=3), [True, False, True]).ready
    assert fed(Health(rise=2, fall=3), [False, True, True]).ready


def test_before_the_first_answer_it_is_neither_ready_nor_failing() -> None:
    health = Health(rise=1, fall=1)
    assert (health.ready, health.failing) == (False, False)


@given(ANSWERS, COUNT, COUNT)
def test_it_is_ready_exactly_after_rise_good_answers_in_a_row_and_failing_after_fall_bad_ones(
    answers: list[bool], rise: int, fall: int
) -> None:
    health = fed(Health(rise=rise, fall=fall), answers)
    assert health.ready == (len(answers) >= rise and all(answers[-rise:]))
    assert health.failing == (len(answers) >= fall and not any(answers[-fall:]))


@given(ANSWERS)
def test_it_is_never_ready_and_failing_at_once(answers: list[bool]) -> None:
    health = fed(Health(rise=1, fall=1), answers)
    assert not (health.ready and health.failing)


def test_equal_answers_in_a_row_are_one_line_with_a_count() -> None:
    said = Transcript().seen("refused").seen("refused").seen("gave 503").seen("refused")
    assert said.lines() == ["2 × refused", "gave 503", "refused"]
    assert said.total == 4


def test_a_long_trial_keeps_its_last_lines() -> None:
    said = Transcript()
    for number in range(Transcript.LIMIT + 10):
        said = said.seen(f"answer {number}")
    assert len(said.lines()) == Transcript.LIMIT
    assert said.lines()[-1] == f"answer {Transcript.LIMIT + 9}"
