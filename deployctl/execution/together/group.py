"""Steps about the instances of one release that follow each other: taken at once where that is quicker, and once more at
another place where a stranger has what was leased to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployctl.domain.change.plan import StepKind
from deployctl.errors import PlaceTaken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.execution.runner import Walk


def take_group(walk: Walk, steps: Sequence[Step], take: Callable[[Step], None]) -> None:
    """Take the steps. Raises the first failure; PlaceTaken is one only if all places that were tried were taken."""
    from deployctl.execution.networks import MAX_NETWORK_TRIES

    for _ in range(MAX_NETWORK_TRIES):
        try:
            return _take(walk, steps, take)
        except PlaceTaken as e:
            from deployctl.execution.together.moving import create_elsewhere

            steps = create_elsewhere(walk, steps, e)
    return _take(walk, steps, take)


def _take(walk: Walk, steps: Sequence[Step], take: Callable[[Step], None]) -> None:
    if walk.services.hands > 1 and _take_long(steps):
        from deployctl.execution.together.at_once import take_at_once

        take_at_once(walk, steps, take)
    elif walk.services.hands > 1 and _only_ask(walk, steps):
        from deployctl.execution.together.warm import ask_together

        ask_together(walk, steps)
    else:
        for step in steps:
            take(step)


def _take_long(steps: Sequence[Step]) -> bool:
    """Return whether several instances are to be started."""
    return len({step.instance for step in steps if step.kind in {StepKind.START, StepKind.JOB}}) > 1


def _only_ask(walk: Walk, steps: Sequence[Step]) -> bool:
    """Return whether the steps are the checks of several instances that all run and were proven before."""
    return len(steps) > 1 and all(
        step.kind is StepKind.HEALTH and walk.facts.is_warm(step.release) and step.instance in walk.facts.running
        for step in steps)
