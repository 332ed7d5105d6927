"""Bugs planted on purpose: each is one function as it must not be. The simulator is worth something if it finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from deployctl.domain.change import planner
from deployctl.domain.change.deployment import begin
from deployctl.domain.change.facts import AppFacts
from deployctl.domain.change.plan import PlanKind, Step, StepKind
from deployctl.domain.images.release import Instance, Release
from deployctl.execution import actions, containers, names_inside, revert_steps, runner
from deployctl.execution.kinds import hand_over, places
from deployctl.execution.labels import release_images
from deployctl.execution.runner import StepAct, Walk
from deployctl.ledger.leases import LeaseRows
from deployctl.ports import Launch, Services
from deployctl.usecases.steps import recover
from tests.simulation import kinds
from tests.simulation.faults import Fault
from tests.simulation.simulate import CHANCE, OF_ANY_KIND, Recipe
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


@contextmanager
def no_lock() -> Iterator[None]:
    """What is exclusive begins at once, its program waits for nobody, and nobody looks whether it has a lock."""
    whole = places.launch_at_lock

    def launch(walk: Walk, release: Release, instance: Instance) -> Launch:
        return replace(whole(walk, release, instance), lock=None, address=None)

    with patch.object(places, "launch_at_lock", launch), patch.object(hand_over, "holds_lock", lambda walk, step: True):
        yield


@contextmanager
def restarted_before_it_writes() -> Iterator[None]:
    """The engine restarts the next version before the former one has ended: after a reboot either could be first."""

    def act(walk: Walk, step: Step) -> str:
        walk.services.engine.set_restart(containers.container_of(containers.instance_of(walk, step)), always=True)
        return hand_over.hand_over(walk, step)

    with patch.dict(hand_over.ACTIONS, {StepKind.HAND_OVER: act}):
        yield


@contextmanager
def nobody_waits() -> Iterator[None]:
    """The former version ends while requests go on to it."""
    with patch.dict(hand_over.ACTIONS, {StepKind.QUEUE: lambda walk, step: ""}):
        yield


@contextmanager
def they_wait_for_ever() -> Iterator[None]:
    """What waited is not let go."""
    with patch.dict(hand_over.ACTIONS, {StepKind.RESUME: lambda walk, step: ""}):
        yield


@contextmanager
def let_go_first() -> Iterator[None]:
    """While a hand-over is reverted, requests go on before the former version runs again."""
    whole = revert_steps.UNDOS[StepKind.HAND_OVER]

    def undo(walk: Walk, step: Step) -> None:
        hand_over.let_go(walk, step)
        whole(walk, step)

    with patch.dict(revert_steps.UNDOS, {StepKind.HAND_OVER: undo}):
        yield


@contextmanager
def volume_made_by_the_container() -> Iterator[None]:
    """Nobody makes volumes: the engine does, with the container, and nobody knows whose they are."""
    with patch.dict(actions.STEP_ACTIONS, {StepKind.VOLUME: lambda walk, step: ""}):
        yield


@contextmanager
def names_of_another_release() -> Iterator[None]:
    """Containers find the siblings of whichever release was first."""
    whole = names_inside.names_inside

    def mixed(release: Release, instance: Instance, placed: Iterable[Instance], s: Services) -> dict[str, Any]:
        return whole(release, instance, s.ledger.instances(release.app), s)

    with patch.object(names_inside, "names_inside", mixed):
        yield


# Where chance alone seldom looks: the bug shows only when who takes a refused switch back is killed at that.
WHERE: dict[str, Recipe] = {
    "a recovery that believes the journal": Recipe(
        "serving nobody", "as usual", ("upgrade v3", "rollback"), 3.0, (Fault.REFUSED, Fault.KILL), rate=0.03),
}
WHERE |= dict.fromkeys((
    "a lock that is not checked", "a restart policy that is changed too early", "a hand-over without a queue",
    "a queue that is not released", "a queue that is released too early", "a volume that nobody makes",
    "names that lead to another release"), OF_ANY_KIND)

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
    "a lock that is not checked": no_lock,
    "a restart policy that is changed too early": restarted_before_it_writes,
    "a hand-over without a queue": nobody_waits,
    "a queue that is not released": they_wait_for_ever,
    "a queue that is released too early": let_go_first,
    "a volume that nobody makes": volume_made_by_the_container,
    "names that lead to another release": names_of_another_release,
}


def recipe_of(name: str) -> Recipe:
    """Return where that bug is looked for: anywhere, unless it has a place of its own. The pasts there are made without it."""
    recipe = WHERE.get(name, CHANCE)
    if recipe.kind:
        kinds.make_all_pasts()
    return recipe
