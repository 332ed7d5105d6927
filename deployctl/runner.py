"""Walks a plan: record the intent, act, record the result; before the promotion a failure takes everything back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from deployctl.domain.deployment import Deployment, Phase, advance, begin
from deployctl.domain.facts import Facts
from deployctl.domain.plan import Plan, Step, StepKind
from deployctl.domain.release import App
from deployctl.errors import Aborted, AttentionNeeded, DeployctlError, Interrupted, LeaseHeld
from deployctl.interrupts import shielded
from deployctl.ports import Services

Act = Callable[["Walk", Step], str]


@dataclass(slots=True)
class Walk:
    """One deployment on its way. Actions read it and leave their findings in it."""

    plan: Plan
    facts: Facts
    deployment: Deployment
    services: Services
    token: int
    wishes: App | None = None  # App with what its file asks for; written when HAProxy learns of it
    held: int | None = None  # release that the promotion puts on hold
    lifted: int | None = None
    phase: Phase = Phase.PLANNED
    seq: int = 0
    begun: list[Step] = field(default_factory=list)
    promoted: bool = False
    switched: bool = False
    switch_ms: float = 0.0
    revision: int = 0
    done: list[tuple[Step, float, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    keep_failed: bool = False  # the failure is the candidate's own: its container stays for inspection

    def check(self) -> None:
        """Raise when this walk may not go on: its lease was taken over, or a person asked it to stop."""
        ledger, app = self.services.ledger, self.plan.app
        if not self.services.ledger.lease_is_ours(app, self.token):
            raise LeaseHeld(f"the lease on {app} was taken over by another process; this one does nothing more")
        if not self.promoted and (who := ledger.abort_asked(self.deployment.id)):
            raise Aborted(f"{who} asked to stop this {self.plan.kind}")

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.services.report.warn(text)


def run(walk: Walk, actions: Mapping[StepKind, Act], undos: Mapping[StepKind, Callable[[Walk, Step], None]]) -> Walk:
    """Walk the plan to its end. Raises the first failure, after everything before the promotion was taken back."""
    try:
        _before_and_at_promotion(walk, actions)
    except BaseException as cause:
        if not walk.promoted:
            with shielded():
                revert(walk, undos, cause)
            _raise_as_told(walk, cause)
        _close(walk, advance(walk.phase, "done"))
        raise
    retire_rest(walk, actions)
    return walk


def retire_rest(walk: Walk, actions: Mapping[StepKind, Act]) -> None:
    """Take the steps after the promotion and close the deployment; interrupted, the next change retires the rest."""
    try:
        _after_promotion(walk, actions)
    finally:
        _close(walk, advance(walk.phase, "done"))


def _before_and_at_promotion(walk: Walk, actions: Mapping[StepKind, Act]) -> None:
    steps = walk.plan.steps
    shield_from = next((i for i, s in enumerate(steps) if s.kind is StepKind.SWITCH), len(steps))
    for step in steps[:shield_from]:
        if step.kind in _AFTER:
            return
        _take(walk, step, actions)
    rest = [s for s in steps[shield_from:] if s.kind not in _AFTER]
    if any(s.kind is StepKind.WATCH for s in rest):
        for step in rest:
            _take(walk, step, actions)
    elif rest:
        with shielded():
            for step in rest:
                _take(walk, step, actions)


_AFTER = frozenset({StepKind.DRAIN, StepKind.STOP, StepKind.PRUNE})


def _after_promotion(walk: Walk, actions: Mapping[StepKind, Act]) -> None:
    """Retire what goes. The asked state is already the state, so a failure here is a warning."""
    moved = any(s.kind is StepKind.SWITCH for s in walk.plan.steps)
    for step in walk.plan.steps:
        if step.kind not in _AFTER:
            continue
        if not moved:
            _take(walk, step, actions)
            continue
        try:
            _take(walk, step, actions)
        except DeployctlError as e:
            walk.warn(f"could not {step.sentence}: {e.message}")


def _take(walk: Walk, step: Step, actions: Mapping[StepKind, Act]) -> None:
    s, started = walk.services, walk.services.clock.now()
    walk.check()
    walk.phase = begin(walk.phase, step.kind)
    s.ledger.begin_step(walk.deployment.id, walk.seq, step, phase=walk.phase, at=s.clock.utc(),
                        durable=step.kind is StepKind.SWITCH)
    s.report.begin(step)
    walk.begun.append(step)
    try:
        text = actions[step.kind](walk, step)
    except BaseException as e:
        _finish(walk, step, started, ok=False, text=str(e) or type(e).__name__)
        raise
    _finish(walk, step, started, ok=True, text=text)


def _finish(walk: Walk, step: Step, started: float, *, ok: bool, text: str) -> None:
    ms = (walk.services.clock.now() - started) * 1000
    if step.kind is StepKind.PROMOTE and ok:
        walk.phase = advance(walk.phase, "passed")
    walk.services.report.end(step, ms=ms, ok=ok, text=text)
    if ok:
        walk.done.append((step, ms, text))
    try:
        walk.services.ledger.finish_step(walk.deployment.id, walk.seq, ok=ok, ms=ms, text=text,
                                         at=walk.services.clock.utc())
    except DeployctlError:
        if ok and not walk.promoted:
            raise  # the failure itself is the better news
    walk.seq += 1


def revert(walk: Walk, undos: Mapping[StepKind, Callable[[Walk, Step], None]], cause: BaseException) -> None:
    """Take back what was begun, last first. What cannot be taken back is added to the cause."""
    if isinstance(cause, LeaseHeld):
        return  # whoever took the lease over decides now
    failed = False
    for step in reversed(walk.begun):
        undo = undos.get(step.kind)
        if undo is None:
            continue
        try:
            undo(walk, step)
        except DeployctlError as e:
            failed = failed or step.kind is StepKind.SWITCH
            cause.add_note(f"could not take back “{step.sentence}”: {e.message}")
    walk.phase = advance(walk.phase, "failed")
    evidence = cause.details if isinstance(cause, DeployctlError) else []
    _close(walk, advance(walk.phase, "failed" if failed else "reverted"),
           error=str(cause) or type(cause).__name__, evidence=evidence)
    if failed:
        raise AttentionNeeded(f"{cause} And the traffic could not be moved back.",
                              remedy=[f"deployctl status {walk.plan.app}", "deployctl doctor"]) from cause


def _close(walk: Walk, phase: Phase, *, error: str | None = None, evidence: list[str] | None = None) -> None:
    s = walk.services
    try:
        s.ledger.close_deployment(walk.deployment.id, phase, at=s.clock.utc(), error=error, evidence=evidence or [])
    except DeployctlError as e:
        walk.warn(f"the end of this deployment could not be written: {e.message}")


def _raise_as_told(walk: Walk, cause: BaseException) -> NoReturn:
    if isinstance(cause, KeyboardInterrupt):
        raise Interrupted(f"{walk.plan.kind} of {walk.plan.app} was interrupted and taken back") from cause
    if isinstance(cause, DeployctlError):
        cause.details += [note for note in getattr(cause, "__notes__", ()) if note not in cause.details]
    raise cause
