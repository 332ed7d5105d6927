"""Which steps wait for which: the instances of a release are started at once, as far as their needs allow."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from deployctl.domain.change.plan import StepKind
from deployctl.domain.images.component import Condition, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import ComponentName


def may_begin(step: Step, release: Release, unfinished: Collection[Step]) -> bool:
    """Return whether everything that the step needs is done. `unfinished` are the steps of its group that are not."""
    before = _BEFORE[step.kind]
    if any(one.kind in before and one.instance == step.instance for one in unfinished):
        return False
    needs = dict(release.component(step.instance.component).needs) if StepKind.START not in before else {}
    return not any(_holds_up(one, needs[one.component]) for one in unfinished
                   if one.component in needs and one.release == step.release)


_BEFORE = {
    StepKind.CREATE: frozenset[StepKind](),
    StepKind.START: frozenset({StepKind.CREATE}),
    StepKind.JOB: frozenset({StepKind.CREATE}),
    StepKind.HEALTH: frozenset({StepKind.CREATE, StepKind.START}),
}


def _holds_up(needed: Step, condition: Condition) -> bool:
    """Return whether one that needs it under that condition has to wait: what runs counts as started."""
    return condition is not Condition.STARTED or needed.kind is not StepKind.HEALTH


def most_awaited_first(steps: Iterable[Step], release: Release) -> list[Step]:
    """Return the steps so that those come first for which the longest chain of others waits."""
    heights: dict[ComponentName, int] = {}
    for one in reversed(in_order(release.components)):
        height = heights.setdefault(one.name, 0)
        for name, _ in one.needs:
            heights[name] = max(heights.get(name, 0), height + 1)
    return sorted(steps, key=lambda step: -heights.get(step.instance.component, 0))
