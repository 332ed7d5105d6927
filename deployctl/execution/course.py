"""An action in two halves: what it does outside, which may take long, and everything else.

The action is a generator. What it yields is an effect: a function of services and of a check that raises if the effect
must end early. An effect changes nothing in the ledger and nothing in the run, so another thread may carry it out
(together/at_once.py); what it returned or raised appears in the action where it was yielded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.plan import Step
    from deployctl.execution.runner import StepAct, Walk
    from deployctl.ports import Services

    Check = Callable[[], None]
    Effect = Callable[[Services, Check], Any]
    Course = Generator[Effect, Any, str]
    Begin = Callable[[Walk, Step], Course]


def in_turn(action: Begin) -> StepAct:
    """Return the action with its effects carried out by the thread that takes the step."""
    return lambda walk, step: finish(walk, action(walk, step))


def finish(walk: Walk, course: Course) -> str:
    """Carry out its effects in this thread."""
    try:
        effect = next(course)
        while True:
            try:
                result = effect(walk.services, walk.check)
            except BaseException as e:
                effect = course.throw(e)
            else:
                effect = course.send(result)
    except StopIteration as end:
        return str(end.value)


class NoLedger:
    """The ledger of an effect in another thread: the connection is for the thread of the run alone."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"an effect in a thread used the ledger ({name})")
