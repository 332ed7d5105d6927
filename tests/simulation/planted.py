"""Bugs planted on purpose: each is one function as it must not be. The simulator is worth something if it finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from deployctl.domain.change import planner
from deployctl.domain.change.deployment import begin
from deployctl.domain.change.facts import AppFacts
from deployctl.domain.change.plan import PlanKind, Step, StepKind
from deployctl.domain.images.release import Instance, Release
from deployctl.execution import containers, revert_steps, runner
from deployctl.execution.labels import release_images
from deployctl.execution.runner import StepAct, Walk
from deployctl.ledger.leases import LeaseRows
from deployctl.usecases.steps import recover
from tests.simulation.faults import Fault
from tests.simulation.simulate import CHANCE, Recipe
from tests.simulation.traffic import SimulatedTraffic

Plant = Callable[[], Any]  # a context manager


@contextmanager
def commit_before_its_effect() -> Iterator[None]:
    """The ledger records the release as active before HAProxy switches to it."""
    whole = planner._switch

    def swapped(facts: AppFacts, kind: PlanKind, target: Release, *, queued: bool = False) -> list[Step]:
        return list(reversed(whole(facts, kind, target, queued=queued)))

    with patch.object(planner, "_switch", swapped):
        yield


@contextmanager
def effect_before_its_intent() -> Iterator[None]:
    """A step is written down once it was taken."""

    def take(walk: Walk, step: Step, acts: Mapping[StepKind, StepAct]) -> None:
        s = walk.services
        walk.check()
        walk.phase = begin(walk.phase, step.kind)
        text = acts[step.kind](walk, step)
        s.ledger.begin_step(walk.deployment.id, walk.seq, step, phase=walk.phase, at=s.clock.utc(), durable=True)
        walk.begun.append(step)
        walk.end(runner.OpenStep(step, walk.seq, s.clock.now()), text=text)
        walk.seq += 1

    with patch.object(runner, "take", take):
        yield


@contextmanager
def no_read_back() -> Iterator[None]:
    """HAProxy's yes is believed."""
    with patch.object(SimulatedTraffic, "read_back", lambda self, app, to: None):
        yield


@contextmanager
def recovery_believes_the_journal() -> Iterator[None]:
    """What was to be switched is taken for switched."""
    with patch.object(recover, "_moved", lambda walk: walk.switched and walk.plan.target is not None):
        yield


@contextmanager
def no_fence() -> Iterator[None]:
    """A process that had the lease once continues as if it still did."""
    with patch.object(Walk, "require_lease", lambda self: None):
        yield


@contextmanager
def everybody_gets_the_lease() -> Iterator[None]:
    """A living holder's lease is free."""
    with patch.object(LeaseRows, "_is_held", lambda self, row: False):
        yield


@contextmanager
def forgotten_undo(kind: StepKind) -> Iterator[None]:
    """What a step did is not reverted."""
    left = {other: undo for other, undo in revert_steps.UNDOS.items() if other is not kind}
    with patch.dict(revert_steps.UNDOS, left, clear=True):
        yield


@contextmanager
def port_freed_early() -> Iterator[None]:
    """Port and address are given away before the container that uses them is gone."""

    def forget(walk: Walk, instance: Instance, *, image_too: bool = False) -> None:
        s = walk.services
        s.ledger.remove_instance(instance.app, instance.id)
        s.traffic.sync()
        s.engine.ensure_removed(instance.container or instance.name)
        if image_too:
            release_images(s, instance.app, instance.id)

    with patch.object(containers, "forget_container", forget), patch.object(revert_steps, "forget_container", forget):
        yield


# Where chance alone seldom looks: the bug shows only when who takes a refused switch back is killed at that.
WHERE: dict[str, Recipe] = {
    "a recovery that believes the journal": Recipe(
        "serving nobody", "as usual", ("upgrade v3", "rollback"), 3.0, (Fault.REFUSED, Fault.KILL), rate=0.03),
}

PLANTED: dict[str, Plant] = {
    "a commit swapped with its effect": commit_before_its_effect,
    "an effect before its intent": effect_before_its_intent,
    "a missing read-back": no_read_back,
    "a recovery that believes the journal": recovery_believes_the_journal,
    "a lease that is not checked": no_fence,
    "a lease that everybody gets": everybody_gets_the_lease,
    "a forgotten undo of the switch": lambda: forgotten_undo(StepKind.SWITCH),
    "a forgotten undo of the container": lambda: forgotten_undo(StepKind.CREATE),
    "a port freed early": port_freed_early,
}


def recipe_of(name: str) -> Recipe:
    """Return where that bug is looked for: anywhere, unless it has a place of its own."""
    return WHERE.get(name, CHANCE)
