"""All containers of a release created again at another place: each was created knowing where the others are."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.dataclass import replace
from deployctl.domain.change.plan import StepKind
from deployctl.domain.inputs.names import backing_of
from deployctl.execution.containers import create_container, ensure_network, forget_container, keep_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.component import InstanceId
    from deployctl.errors import PlaceTaken
    from deployctl.execution.runner import Walk


def may_move(walk: Walk, number: int) -> bool:
    """Return whether all containers of that release may be created again: none that serves or ran before, nothing that has an
    address for life or has begun to take over from a former version, and no job in the middle of its work."""
    facts = walk.facts
    if number in {facts.app.active, facts.serving} or facts.is_partly_up(number) or backing_of(facts.app.name) is not None:
        return False
    done = {step for step, _, _ in walk.done}
    return not any(step.kind is StepKind.HAND_OVER or (step.kind is StepKind.JOB and step not in done) for step in walk.begun)


def create_elsewhere(walk: Walk, steps: Sequence[Step], why: PlaceTaken) -> list[Step]:
    """Create them again with other addresses and ports; return which of the steps are to be taken after that. A job that has
    ended does not run again: its container stays, as evidence."""
    about, release = steps[0], walk.facts.releases[steps[0].release]
    ended = {step.instance for step, _, _ in walk.done if step.kind is StepKind.JOB}
    walk.warn(f"{why.message}: {release.version} is created again elsewhere")
    moving = [one for one in walk.services.ledger.instances(release.app)
              if one.release == release.number and one.id not in ended]
    for instance in moving:
        keep_image(walk, _about(about, instance.id))  # otherwise nothing of it might be left
        forget_container(walk, instance)
    ensure_network(walk, about)
    ids = {one.id for one in moving}
    for one in release.containers:
        if one in ids:
            create_container(walk, _about(about, one))
    walk.lasting -= ids
    walk.done = [done for done in walk.done if done[0].kind is not StepKind.HEALTH or done[0].instance not in ids]
    return _left(steps, walk, ids)


def _about(step: Step, one: InstanceId) -> Step:
    return replace(step, component=one.component, replica=one.replica)


def _left(steps: Sequence[Step], walk: Walk, moved: set[InstanceId]) -> list[Step]:
    """Return what is to be done: everything but what was created, of those that were moved."""
    begun = {*walk.begun}
    return [step for step in steps
            if (step.instance in moved and step.kind is not StepKind.CREATE) or step not in begun]
