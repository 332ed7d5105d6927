"""How long nothing will run while a component is handed over: as long as it took before, else as long as its file allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.change.gap import find_gap
from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.images.component import WEB
from deployctl.domain.images.release import ProbeKind
from deployctl.domain.inputs.names import ComponentName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.gap import Gap
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Release

    Took = Mapping[tuple[StepKind, ComponentName], float]  # seconds that such a step took the last time it went well


_WHAT = {StepKind.HAND_OVER: "to end", StepKind.START: "to start", StepKind.JOB: "to run", StepKind.HEALTH: "to be healthy"}


@dataclass(frozen=True, slots=True)
class GapPart:
    """One thing that happens in the gap."""

    component: ComponentName = WEB
    step: StepKind = StepKind.HEALTH
    seconds: float = 0.0
    known: bool = False  # it took that long the last time; else its file allows that much

    @property
    def sentence(self) -> str:
        return f"{self.component} {'took' if self.known else 'may take'} {self.seconds:.3g} s {_WHAT[self.step]}"


@dataclass(frozen=True, slots=True)
class ExpectedGap:
    """Its parts in order, and how long requests may wait, in seconds."""

    parts: tuple[GapPart, ...] = ()
    most: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def asks(self) -> bool:
        """Return whether a person has to agree to it."""
        return self.seconds > self.most

    @property
    def sentence(self) -> str:
        """Return what is to be expected, as text."""
        parts = ", ".join(part.sentence for part in self.parts if part.seconds)
        about = "" if all(part.known for part in self.parts) else "at most "
        return f"Expected gap: {about}{self.seconds:.3g} s ({parts or 'next to nothing'}). Requests wait up to {self.most:g} s."


def expect_gap(facts: AppFacts, target: Release, kind: PlanKind, took: Took) -> ExpectedGap | None:
    """Return what to expect of the move to that release; None if nothing is handed over that only one version may run."""
    gap = find_gap(facts, target, kind)
    if not any(one.is_exclusive for one in gap.members):
        return None
    return ExpectedGap(tuple(part for one in gap.members for part in _parts(one, gap, facts, target, took)), gap.most)


def _parts(one: Component, gap: Gap, facts: AppFacts, target: Release, took: Took) -> Iterator[GapPart]:
    def part(step: StepKind, allowed: float) -> GapPart:
        known = took.get((step, one.name))
        return GapPart(one.name, step, allowed if known is None else known, known is not None)

    if one.is_job:
        yield part(StepKind.JOB, one.timeout)
        return
    if one.name in gap.handed:
        yield part(StepKind.HAND_OVER, _longest_end(one.name, facts, target))
    else:
        yield part(StepKind.START, 0.0)
    probe = one.bundle.probe
    yield part(StepKind.HEALTH, probe.start_grace + (probe.uptime if probe.kind is ProbeKind.PROCESS else 0.0))


def _longest_end(name: ComponentName, facts: AppFacts, target: Release) -> float:
    """Return the longest stop_grace of what runs of that component in other releases."""
    former = (facts.releases[one.release] for one in facts.running
              if one.component == name and one.release != target.number and one.release in facts.releases)
    return max((release.component(name).bundle.stop_grace for release in former), default=0.0)
