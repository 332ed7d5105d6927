"""Which steps wait for which: the instances of a release are started at once, as far as their needs allow."""

from __future__ import annotations

from collections.abc import Collection

from deployctl.domain.change.plan import StepKind
from deployctl.domain.images.component import Condition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Release


def may_begin(step: Step, release: Release, unfinished: Collection[Step]) -> bool:
    """Return whether everything that the step needs is done. `unfinished` are the steps of its group that are not."""
    if step.kind is StepKind.HEALTH:
        return not any(one.kind is StepKind.START and _alike(one, step) for one in unfinished)
    needs = dict(release.component(step.instance.component).needs)
    return not any(_holds_up(one, needs[one.component]) for one in unfinished
                   if one.component in needs and one.release == step.release)


def _holds_up(needed: Step, condition: Condition) -> bool:
    """Return whether one that needs it under that condition has to wait: what runs counts as started."""
    return condition is not Condition.STARTED or needed.kind is not StepKind.HEALTH


def _alike(one: Step, other: Step) -> bool:
    return one.instance == other.instance
