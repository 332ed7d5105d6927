"""Asks all instances of a release that already runs at the same moment: traffic waits for the slowest, not for their sum.

Only the probes are in threads, and a probe changes nothing. The journal has all checks begun in one transaction, and all
results in another.
"""

from __future__ import annotations

from _thread import start_new_thread  # a Thread waits until it was scheduled, one after the other
from collections.abc import Sequence
from queue import SimpleQueue

from deployctl.dataclass import dataclass, replace
from deployctl.errors import DeployctlError
from deployctl.execution.actions import prove_healthy
from deployctl.execution.course import NoLedger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.plan import Step
    from deployctl.execution.course import Course, Effect
    from deployctl.execution.runner import OpenStep, Walk
    from deployctl.ports import Services


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one effect returned, or the error that it raised."""

    value: Any = None
    failure: DeployctlError | None = None


_NONE = _Answer(failure=DeployctlError("the probe ended without an answer"))


def ask_together(walk: Walk, steps: Sequence[Step]) -> None:
    """Take the steps. Raises the first failure, in their order, once every instance was asked."""
    courses = [prove_healthy(walk, step) for step in steps]
    with walk.services.ledger.transaction():
        opened = [walk.begin(step) for step in steps]
    try:
        answers = _answers(walk.services, [next(course) for course in courses])
    except BaseException as e:
        for one in opened:
            walk.end(one, failure=e)
        raise
    with walk.services.ledger.transaction():
        failures = [_settle(walk, *each) for each in zip(opened, courses, answers, strict=True)]
    for failure in filter(None, failures):
        raise failure


def _settle(walk: Walk, opened: OpenStep, course: Course, answer: _Answer) -> DeployctlError | None:
    """Let the course go on to its end, and return its failure."""
    try:
        if answer.failure is not None:
            course.throw(answer.failure)
        else:
            course.send(answer.value)
    except StopIteration as end:
        walk.end(opened, text=str(end.value))
    except DeployctlError as e:
        walk.end(opened, failure=e)
        return e
    return None


def _answers(s: Services, effects: Sequence[Effect]) -> list[_Answer]:
    """Carry out the effects, the first one in this thread; return their answers in the same order."""
    told, found = SimpleQueue[tuple[int, _Answer]](), dict[int, _Answer]()
    ledger: Any = NoLedger()
    beside = replace(s, ledger=ledger)
    for number, effect in enumerate(effects[1:], 1):
        start_new_thread(_carry_out, (number, effect, beside, told))
    _carry_out(0, effects[0], beside, told)
    while len(found) < len(effects):
        number, answer = told.get()
        found[number] = answer
    return [found[number] for number in range(len(effects))]


def _carry_out(number: int, effect: Effect, s: Services, told: SimpleQueue[tuple[int, _Answer]]) -> None:
    answer = _NONE
    try:
        answer = _Answer(effect(s, _go_on))
    except DeployctlError as e:
        answer = _Answer(failure=e)
    finally:
        told.put((number, answer))


def _go_on() -> None:
    """The check of an effect: a quick one ends by itself."""
