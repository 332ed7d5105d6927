"""The life cycle of one deployment. The transitions are in this table; no other code assigns a phase."""

from __future__ import annotations

from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated

    from deployctl.domain.change.diagnosis import FailureCause
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.inputs.units import At, Ms


class Phase(StrEnum):
    PLANNED = "planned"
    PROBING = "probing"
    SHIFTING = "shifting"
    BAKING = "baking"
    DRAINING = "draining"
    REVERTING = "reverting"
    SUCCEEDED = "succeeded"
    REVERTED = "reverted"
    STUCK = "stuck"


class IllegalTransition(Exception):
    """The table has no such transition. Always a bug in deployctl, never a user's mistake."""


NEXT_PHASES: dict[Phase, dict[str, Phase]] = {
    Phase.PLANNED: {"started": Phase.PROBING, "failed": Phase.REVERTING, "done": Phase.SUCCEEDED},
    Phase.PROBING: {"ready": Phase.SHIFTING, "failed": Phase.REVERTING, "done": Phase.SUCCEEDED},
    Phase.SHIFTING: {"shifted": Phase.BAKING, "failed": Phase.REVERTING, "done": Phase.SUCCEEDED},
    Phase.BAKING: {"passed": Phase.DRAINING, "failed": Phase.REVERTING},
    Phase.DRAINING: {"done": Phase.SUCCEEDED, "failed": Phase.STUCK},  # promoted: nothing is reverted
    Phase.REVERTING: {"reverted": Phase.REVERTED, "failed": Phase.STUCK},
    Phase.SUCCEEDED: {},
    Phase.REVERTED: {},
    Phase.STUCK: {},
}

# the event that starting a step raises; steps that are not listed leave the phase unchanged
BEGINS: dict[StepKind, tuple[str, ...]] = {
    StepKind.HEALTH: ("started",),
    StepKind.JOB: ("started",),
    StepKind.ROUTE: ("started", "ready"),
    StepKind.QUEUE: ("started",),
    StepKind.HAND_OVER: ("started",),
    StepKind.GATE: ("started", "ready"),
    StepKind.SWITCH: ("started", "ready"),
    StepKind.WATCH: ("started", "ready", "shifted"),
    StepKind.PROMOTE: ("started", "ready", "shifted"),
    StepKind.SCALE: ("started", "ready", "shifted"),
}


def advance(phase: Phase, event: str) -> Phase:
    """Return the phase that follows. Raises IllegalTransition and changes nothing."""
    try:
        return NEXT_PHASES[phase][event]
    except KeyError:
        raise IllegalTransition(f"{event!r} cannot happen while {phase}") from None


def begin(phase: Phase, kind: StepKind) -> Phase:
    """Return the phase in which a step of that kind runs; phases in between are passed through in order."""
    for event in BEGINS.get(kind, ()):
        if event in NEXT_PHASES[phase]:
            phase = advance(phase, event)
    return phase


class EndCode(StrEnum):
    """Why a deployment ended, where no error code says so."""

    OVERTAKEN = "overtaken"  # a rollback overtook it
    INTERRUPTED = "interrupted"  # it was interrupted
    PROCESS_DIED = "process_died"  # its process died at the switch, and the next one could neither finish nor revert it
    UNKNOWN = "unknown"  # the ledger was replaced in the meantime
    INTERNAL = "internal"  # a bug in deployctl


@dataclass(frozen=True, slots=True)
class EndReason:
    """Why a deployment ended: an EndCode or an error code, and the sentence for people."""

    code: str
    message: str
    cause: str | None = None  # of a candidate that failed: a FailureCause
    why: str = ""  # the message without what a page already says in its title


@dataclass(frozen=True, slots=True)
class Deployment:
    """One attempt to change an app."""

    id: int
    app: AppName
    kind: str
    source: int | None
    target: int | None
    phase: Phase
    actor: str
    note: str
    started_at: At
    token: int
    finished_at: At | None = None
    outcome: str | None = None  # None: it is open
    error: str | None = None
    evidence: tuple[str, ...] = ()
    abort_by: str | None = None
    # None for rows written by older builds
    error_code: Annotated[str | None, "The same for programs: the code of an error, or how else it ended."] = None
    cause: Annotated[Annotated[str, FailureCause] | None, "Why its candidate failed, as far as that is known."] = None
    why: str = ""  # `error` without what a page already says in its title
    before: App | None = None  # the app before this deployment began: recovery restores its address


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """Who holds the right to change an app, and since when."""

    app: AppName
    holder: str
    verb: str
    pid: int
    since: str
    token: int


@dataclass(frozen=True, slots=True)
class Change:
    """One line of traffic history: a switch of an app's traffic."""

    revision: int
    app: AppName
    kind: str  # upgrade, rollback, undo, stop, start
    source: int | None  # number of the release that was live before
    target: int | None  # number of the release that is live since
    at: At
    actor: str
    note: str = ""
    switch_ms: Ms = 0.0
    held: int | None = None  # release that this change put on hold
    lifted: int | None = None  # release that this change released from hold
    chain: tuple[int, ...] = ()  # releases to roll back to from here, see domain/change/serving.py
