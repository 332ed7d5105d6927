"""What can only begin once another version's has ended: which components, in which order, and who waits meanwhile."""

from __future__ import annotations

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.images.component import dependent_on, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import ComponentName

_ALL = frozenset({PlanKind.UPGRADE})  # hands over before the switch whatever can be: a failure then reverts everything
_NEEDED = frozenset({PlanKind.ROLLBACK, PlanKind.UNDO})  # the traffic moves first where it need not wait


@dataclass(frozen=True, slots=True)
class Gap:
    """The part of a move in which something does not run: nothing of it for most apps."""

    members: tuple[Component, ...] = ()  # in order: exclusive components whose former version runs, and what needs those
    handed: frozenset[ComponentName] = frozenset()  # those of them whose former version has to end first
    waiting: frozenset[ComponentName] = frozenset()  # of these, started beforehand: our launcher holds their program back
    queued: bool = False  # clients wait: what they reach is among them

    @property
    def names(self) -> frozenset[ComponentName]:
        return frozenset(one.name for one in self.members)

    @property
    def most(self) -> float:
        """Return how long requests may wait, in seconds."""
        return max((one.max_gap for one in self.members if one.is_exclusive), default=0.0)


NO_GAP = Gap()


def find_gap(facts: AppFacts, target: Release, kind: PlanKind) -> Gap:
    """Return what can only begin once another release's has ended."""
    if kind not in _ALL | _NEEDED:
        return NO_GAP
    rivals, parts, main = facts.rivals(target), target.components, target.components[0].name
    if kind in _NEEDED:
        rivals = frozenset(name for name in rivals if main in dependent_on({name}, parts))
    if not rivals:
        return NO_GAP
    among = dependent_on(rivals, parts)
    members = tuple(one for one in in_order(parts) if one.name in among and _in_gap(one, rivals, target, kind))
    waiting = frozenset(one.name for one in members
                        if one.name in rivals and one.is_exclusive and facts.locked(one.name, target))
    return Gap(members, rivals, waiting, queued=main in among)


def _in_gap(one: Component, rivals: frozenset[ComponentName], target: Release, kind: PlanKind) -> bool:
    if one.is_job:
        return kind in _ALL and one.name not in target.completed
    return one.name in rivals or not one.is_worker  # other workers begin after the switch
