"""Carries out a plan: record the intent, act, record the result; before the promotion a failure reverts everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import groupby

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.deployment import EndCode, EndReason, Phase, advance, begin
from deployctl.domain.change.plan import ABOUT_AN_INSTANCE, AT_ONCE, TRAFFIC_MOVES, Step, StepKind
from deployctl.errors import Aborted, AttentionNeeded, DeployctlError, Interrupted, LeaseHeld
from deployctl.execution.fence import fenced, taken_over
from deployctl.execution.interrupts import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.plan import Plan
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Policy
    from deployctl.ports import Services

StepAct = Callable[["Walk", Step], str]
Undo = Callable[["Walk", Step], None]


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step in progress: its place in the journal, and when it began by the clock."""

    step: Step
    seq: int
    started: float


@dataclass(slots=True)
class Walk:
    """One deployment in progress. Actions read it and leave their findings in it."""

    plan: Plan
    facts: AppFacts
    deployment: Deployment
    services: Services
    token: int
    wishes: App | None = None  # the app with its file's settings; recorded when HAProxy learns of it
    held: int | None = None  # release that the promotion puts on hold
    lifted: int | None = None
    phase: Phase = Phase.PLANNED
    seq: int = 0
    begun: list[Step] = field(default_factory=list)
    promoted: bool = False
    switched: bool = False
    switch_ms: float = 0.0
    gap_began: float | None = None  # when the former version of an exclusive component was stopped, by the clock
    gap_ms: float | None = None  # from then until the next one was healthy, or requests went on
    revision: int = 0
    done: list[tuple[Step, float, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    restarts: dict[InstanceId, int | None] = field(default_factory=dict)  # of the candidate's containers when health-checked
    lasting: set[InstanceId] = field(default_factory=set)  # passed its health check; the engine restarts it from now on
    keep_failed: bool = False  # the failure is the candidate's own: its container stays for inspection
    settled: frozenset[tuple[StepKind, int]] = frozenset()  # steps that were finished before a crash
    recovering: bool = False  # after a crash: a request to abort has been dealt with already
    unfenced: Services = field(init=False)  # for a fence of another thread

    def __post_init__(self) -> None:
        self.unfenced, self.services = self.services, fenced(self.services, self.require_lease)

    def require_lease(self) -> None:
        """Raise LeaseHeld if another process has taken over the lease."""
        if not self.services.ledger.lease_is_ours(self.plan.app, self.token):
            raise taken_over(self.plan.app)

    def check(self) -> None:
        """Raise if this run must not continue: its lease was taken over, or a person asked it to abort."""
        self.require_lease()
        if not (self.promoted or self.recovering) and (who := self.services.ledger.abort_asked(self.deployment.id)):
            raise Aborted(f"{who} asked to stop this {self.plan.kind}")

    def will(self, kind: StepKind, release: int) -> bool:
        """Return whether the plan has such a step for that release."""
        return any((step.kind, step.release) == (kind, release) for step in self.plan.steps)

    def hands_over(self, one: InstanceId) -> bool:
        """Return whether another version of it ends in this plan: until then that one is what the engine restarts."""
        return any(step.kind is StepKind.HAND_OVER and step.instance == one for step in self.plan.steps)

    def has_started(self, one: InstanceId) -> bool:
        """Return whether this walk has started that instance."""
        return any(step.kind in {StepKind.START, StepKind.JOB} and step.instance == one for step in self.begun)

    @property
    def policy(self) -> Policy:
        """Return the app's policy as this deployment wants it."""
        return (self.wishes or self.facts.app).policy

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.services.report.warn(text)

    def begin(self, step: Step) -> OpenStep:
        """Record the intent to take a step, unless this run must not continue."""
        s, opened = self.services, OpenStep(step, self.seq, self.services.clock.now())
        self.check()
        self.phase = begin(self.phase, step.kind)
        s.ledger.begin_step(self.deployment.id, self.seq, step, phase=self.phase, at=s.clock.utc(),
                            durable=step.kind is StepKind.SWITCH)
        self.seq += 1
        s.report.begin(step)
        self.begun.append(step)
        return opened

    def end(self, opened: OpenStep, *, text: str = "", failure: BaseException | None = None) -> None:
        """Record the result of a step."""
        s, step, ok = self.services, opened.step, failure is None
        ms, text = (s.clock.now() - opened.started) * 1000, text if failure is None else _reason(failure).message
        if step.kind in {StepKind.PROMOTE, StepKind.SCALE} and self.promoted:
            self.phase = advance(self.phase, "passed")
        s.report.end(step, ms=ms, ok=ok, text=text)
        if ok:
            self.done.append((step, ms, text))
        try:
            s.ledger.finish_step(self.deployment.id, opened.seq, ok=ok, ms=ms, text=text, at=s.clock.utc())
        except DeployctlError:
            if ok and not self.promoted:
                raise  # the failure itself is more useful


def run(walk: Walk, actions: Mapping[StepKind, StepAct], undos: Mapping[StepKind, Undo]) -> Walk:
    """Carry out the plan. Raises the first failure, after everything before the promotion was reverted."""
    try:
        _before_and_at_promotion(walk, actions)
    except BaseException as cause:
        if walk.promoted:
            _close(walk, advance(walk.phase, "done"))
        else:
            _take_back(walk, undos, cause)
        _raise_as_told(walk, cause)
    retire_rest(walk, actions)
    return walk


def retire_rest(walk: Walk, actions: Mapping[StepKind, StepAct]) -> None:
    """Take the steps after the promotion and close the deployment; if interrupted, the next change retires the rest."""
    try:
        _after_promotion(walk, actions)
    except BaseException as cause:
        if not _passed_over(walk, cause):
            _close(walk, advance(walk.phase, "done") if walk.promoted else _half_done(walk), error=_reason(cause))
        _raise_as_told(walk, cause)
    _close(walk, advance(walk.phase, "done"))


def only_retires(plan: Plan) -> bool:
    """Return whether the plan stops and removes and does nothing else."""
    return all(step.kind in _AFTER for step in plan.steps)


def _half_done(walk: Walk) -> Phase:
    """Return the outcome of a plan that only retires and failed in the middle: nothing of it is ever reverted."""
    return advance(advance(walk.phase, "failed"), "failed" if walk.done else "reverted")


_AFTER = frozenset({StepKind.SHRINK, StepKind.WORK, StepKind.REST, StepKind.DRAIN, StepKind.STOP, StepKind.PRUNE})
_NEEDED = frozenset({StepKind.SWITCH, StepKind.HAND_OVER})  # without their revert the former version does not serve
_SAFE = frozenset({StepKind.SWITCH, StepKind.RESUME, StepKind.PROMOTE, StepKind.SCALE})  # a signal waits until it is done


def _before_and_at_promotion(walk: Walk, actions: Mapping[StepKind, StepAct]) -> None:
    """Take the steps up to the promotion; for a signal, a switch and the promotion right after it are one."""
    steps = [step for step in walk.plan.steps if step.kind not in _AFTER]
    for safe, group in groupby(steps, key=lambda step: step.kind in _SAFE):
        with shielded() if safe else nullcontext():
            _take_all(walk, [*group], actions)


def _take_all(walk: Walk, steps: Sequence[Step], actions: Mapping[StepKind, StepAct]) -> None:
    for may_overlap, group in groupby(steps, key=lambda step: step.kind in AT_ONCE):
        some = [*group]
        if may_overlap and len(some) > 1:
            from deployctl.execution.together.group import take_group

            take_group(walk, some, lambda step: take(walk, step, actions))
        else:
            for step in some:
                take(walk, step, actions)


def _after_promotion(walk: Walk, actions: Mapping[StepKind, StepAct]) -> None:
    """Retire what is no longer needed. After a switch the requested state is reached, so a failure here is a
    warning."""
    tries = 2
    for step in walk.plan.steps:
        settled = (step.kind, step.release) in walk.settled and step.kind not in ABOUT_AN_INSTANCE
        if step.kind not in _AFTER or settled:
            continue
        try:
            _try(tries if walk.promoted else 1, partial(take, walk, step, actions))
        except DeployctlError as e:
            if not walk.promoted or _passed_over(walk, e):
                raise
            tries = 1
            walk.warn(f"could not {step.sentence}: {e.message}")


def _try(times: int, act: Callable[[], object]) -> None:
    """Do it, and once more if it failed: nothing looks after it later, and a response that was lost comes the next time.
    What stays away is waited for once only, so the caller then tries everything else a single time."""
    try:
        act()
    except DeployctlError:
        if times == 1:
            raise
        act()


def take(walk: Walk, step: Step, actions: Mapping[StepKind, StepAct]) -> None:
    """Take one step, with its intent recorded before and its result after."""
    opened = walk.begin(step)
    try:
        text = actions[step.kind](walk, step)
    except BaseException as e:
        walk.end(opened, failure=e)
        raise
    walk.end(opened, text=text)


def _take_back(walk: Walk, undos: Mapping[StepKind, Undo], cause: BaseException) -> None:
    try:
        with shielded():
            revert(walk, undos, cause)
    except KeyboardInterrupt:  # it arrived while everything was being reverted: nothing is left to interrupt
        return


def revert(walk: Walk, undos: Mapping[StepKind, Undo], cause: BaseException) -> None:
    """Revert what was begun, last first. What cannot be reverted is added to the cause."""
    if _passed_over(walk, cause):
        return  # the process that took over the lease decides now
    failed, tries = False, 2
    for step in reversed(walk.begun):
        undo = undos.get(step.kind)
        if undo is None:
            continue
        try:
            _try(tries, partial(undo, walk, step))
        except DeployctlError as e:
            tries = 1
            cause.add_note(f"could not revert “{step.sentence}”: {e.message}")
            failed = failed or step.kind in _NEEDED
            if step.kind is StepKind.SWITCH:
                break  # what gets the traffic stays
    astray = _found_astray(walk)
    walk.phase = advance(walk.phase, "failed")
    evidence = cause.details if isinstance(cause, DeployctlError) else []
    _close(walk, advance(walk.phase, "failed" if failed or astray else "reverted"), error=_reason(cause),
           evidence=evidence)
    if failed or astray:
        raise AttentionNeeded(f"{cause} And {_what_failed(walk, astray)}.",
                              remedy=[f"deployctl status {walk.plan.app}", "deployctl doctor"]) from cause


def _what_failed(walk: Walk, astray: str) -> str:
    if astray:
        return f"the traffic {astray}"
    handed = any(step.kind is StepKind.HAND_OVER for step in walk.begun)
    return "the former version could not be brought back whole" if handed else "the traffic could not be moved back"


def _found_astray(walk: Walk) -> str:
    """Report where the traffic stays if a deployment that this one overtook had switched it, and this one never
    could."""
    facts, plan = walk.facts, walk.plan
    moved = facts.serving not in {None, plan.source} and not walk.switched and not walk.recovering
    return f"stays on {facts.version(facts.serving)}, where it was moved before" if moved and plan.kind in TRAFFIC_MOVES else ""


def end_reverted(walk: Walk, phase: Phase, why: EndReason) -> None:
    """End the deployment of a holder whose lease was taken over; one that was promoted has succeeded."""
    if phase is Phase.REVERTED:
        phase = advance(advance(walk.phase, "failed"), "reverted")
    walk.services.ledger.close_deployment(walk.deployment.id, phase, at=walk.services.clock.utc(), error=why)


def leave(walk: Walk, why: EndReason) -> None:
    """End the deployment with nothing touched: needs manual intervention."""
    walk.phase = advance(walk.phase, "failed")
    _close(walk, advance(walk.phase, "failed"), error=why)


def _passed_over(walk: Walk, cause: BaseException) -> bool:
    """Return whether another process has the lease now: then that is why it failed. A ledger that was only locked for
    long does not count."""
    try:
        return not walk.services.ledger.lease_is_ours(walk.plan.app, walk.token)
    except DeployctlError:  # unknown: after a lost lease the next holder settles the open deployment
        return isinstance(cause, LeaseHeld)


def _reason(cause: BaseException) -> EndReason:
    if isinstance(cause, KeyboardInterrupt):
        return EndReason(EndCode.INTERRUPTED, "interrupted")
    if isinstance(cause, DeployctlError):
        return EndReason(cause.code, str(cause), cause.cause, cause.why)
    return EndReason(EndCode.INTERNAL, str(cause) or type(cause).__name__)


def _close(walk: Walk, phase: Phase, *, error: EndReason | None = None, evidence: list[str] | None = None) -> None:
    s = walk.services
    try:
        s.ledger.close_deployment(walk.deployment.id, phase, at=s.clock.utc(), error=error, evidence=evidence or [])
    except DeployctlError as e:
        walk.warn(f"the end of this deployment could not be written: {e.message}")


def _raise_as_told(walk: Walk, cause: BaseException) -> NoReturn:
    if not isinstance(cause, LeaseHeld) and isinstance(cause, Exception) and _passed_over(walk, cause):
        raise taken_over(walk.plan.app) from cause
    if isinstance(cause, KeyboardInterrupt):
        how = "was interrupted and reverted"
        if walk.promoted:
            how = "is done, but was interrupted before everything was retired; the next change does the rest"
        elif only_retires(walk.plan):
            how = "was interrupted; run the command again to finish"
        raise Interrupted(f"{walk.plan.kind} of {walk.plan.app} {how}") from cause
    if isinstance(cause, DeployctlError):
        cause.details += [note for note in getattr(cause, "__notes__", ()) if note not in cause.details]
    raise cause
