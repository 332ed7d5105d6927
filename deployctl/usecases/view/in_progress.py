"""What is being done to an app right now, step by step, and why the last attempt failed: read from the ledger alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from deployctl.dataclass import dataclass
from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import Plan, StepKind
from deployctl.usecases.clock_math import seconds_between

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.plan import Step
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

MAX_ATTEMPTS_SEARCHED = 5  # closed attempts among which the last failure is searched

# What people follow: seven names for the kinds of steps. The promotion takes no visible time.
PARTS: Mapping[str, frozenset[StepKind]] = {
    "Image": frozenset({StepKind.IMAGE}),
    "Start": frozenset({StepKind.NETWORK, StepKind.VOLUME, StepKind.CREATE, StepKind.START}),
    "Hand over": frozenset({StepKind.QUEUE, StepKind.HAND_OVER}),
    "Health": frozenset({StepKind.HEALTH}),
    "Switch": frozenset({StepKind.ROUTE, StepKind.GATE, StepKind.SWITCH, StepKind.RESUME}),
    "Watch": frozenset({StepKind.WATCH}),
    "Retire": frozenset({StepKind.DRAIN, StepKind.STOP, StepKind.PRUNE}),
}


@dataclass(frozen=True, slots=True)
class ProgressPart:
    """One part of a deployment. `state` is done, now, to_come or failed; `ms` is the time its finished steps took."""

    name: str
    state: str
    ms: float = 0.0
    text: str = ""  # the result of its last finished step
    sentence: str = ""  # of the step in progress, or the next one


@dataclass(frozen=True, slots=True)
class InProgress:
    """A verb in progress. Without a `deployment` it has not yet changed anything, or never will."""

    verb: str
    by: str
    since: str
    seconds: float
    deployment: int | None = None
    phase: str | None = None
    release: int | None = None  # number of the target
    version: str | None = None
    image: str = ""
    digest: str = ""
    colour: str | None = None  # of the target if it was live before
    source: str | None = None  # version that was live when it began
    parts: tuple[ProgressPart, ...] = ()
    promoted: bool = False  # past the point of no return
    stopping: str | None = None  # who asked it to stop
    interrupted: bool = False  # its process is gone


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt, if it failed and nothing was changed since."""

    deployment: int
    verb: str
    version: str | None
    release: int | None
    at: str
    by: str
    why: str
    evidence: tuple[str, ...]
    switched: bool  # it had the traffic, and was reverted
    stuck: bool  # needs manual intervention
    code: str | None = None  # of the error or end; None for rows written by older builds
    cause: str | None = None  # a FailureCause


def find_in_progress(app: AppName, s: Services) -> InProgress | None:
    """Return what is being done, None if nothing is. A verb that is still reading has a lease and no deployment."""
    opened, lease = s.ledger.find_open(app), s.ledger.find_lease(app)
    if opened is None:
        return None if lease is None else InProgress(lease.verb, lease.holder, lease.since, _age(lease.since, s))
    plan = Plan.from_dict(json.loads(s.ledger.plan_of(opened.id)))
    steps = s.ledger.steps(opened.id)
    release = s.ledger.find_release(app, opened.target) if opened.target is not None else None
    source = s.ledger.find_release(app, opened.source) if opened.source is not None else None
    return InProgress(
        opened.kind, opened.actor, opened.started_at, _age(opened.started_at, s), opened.id, str(opened.phase),
        opened.target, release.version if release else None, release.bundle.image if release else "",
        release.digest if release else "", release.colour if release else None, source.version if source else None,
        tuple(parts_of(plan.steps, steps)), promoted=opened.phase is Phase.DRAINING, stopping=opened.abort_by,
        interrupted=lease is None)


def parts_of(planned: Sequence[Step], taken: Sequence[Mapping[str, Any]]) -> list[ProgressPart]:
    """Return the plan's parts in order, with what the ledger's rows `taken` record of them. Pure."""
    rows = {(row["kind"], row["release"]): row for row in taken}
    found: list[ProgressPart] = []
    for name, kinds in PARTS.items():
        mine = [(step, rows.get((step.kind, step.release))) for step in planned if step.kind in kinds]
        if mine:
            found.append(_part(name, mine, due=all(part.state == "done" for part in found)))
    return found


def _part(name: str, steps: Sequence[tuple[Step, Mapping[str, Any] | None]], *, due: bool) -> ProgressPart:
    finished = [row for _, row in steps if row and row["finished_at"]]
    ahead = next((step.sentence for step, row in steps if not row or not row["finished_at"]), "")
    if any(not row["ok"] for row in finished):
        state = "failed"
    elif not ahead:
        state = "done"
    else:
        state = "now" if due or any(row for _, row in steps) else "to_come"
    return ProgressPart(name, state, round(sum(row["ms"] or 0.0 for row in finished), 1),
                next((row["text"] for row in reversed(finished) if row["text"]), ""), ahead)


def find_failure(app: AppName, s: Services) -> Failure | None:
    """Return the last attempt if it failed, was not aborted by a person, and no traffic was switched since."""
    last = next((d for d in s.ledger.deployments(app, limit=MAX_ATTEMPTS_SEARCHED) if d.finished_at), None)
    if last is None or last.phase not in {Phase.REVERTED, Phase.STUCK} or last.abort_by or not last.error:
        return None
    change = next(iter(s.ledger.changes(app, limit=1)), None)
    if change is not None and change.at > last.started_at:
        return None
    return _failure(last, s)


def _failure(last: Deployment, s: Services) -> Failure:
    release = s.ledger.find_release(last.app, last.target) if last.target is not None else None
    switched = any(row["kind"] == StepKind.SWITCH and row["ok"] for row in s.ledger.steps(last.id))
    return Failure(last.id, last.kind, release.version if release else None, last.target, last.finished_at or "",
                   last.actor, last.why or last.error or "", last.evidence, switched=switched,
                   stuck=last.phase is Phase.STUCK, code=last.error_code, cause=last.cause)


def _age(since: str, s: Services) -> float:
    return max(0.0, seconds_between(since, s.clock.utc()))
