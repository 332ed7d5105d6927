"""The life of one deployment. Phases live in this table; no other line of the project assigns one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import StepKind

if TYPE_CHECKING:
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName


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
    """A phase was asked for that the table does not know. A mistake of ours, never of a user."""


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

# which event the begin of a step is; a step that is missing here leaves the phase alone
BEGINS: dict[StepKind, tuple[str, ...]] = {
    StepKind.HEALTH: ("started",),
    StepKind.ROUTE: ("started", "ready"),
    StepKind.GATE: ("started", "ready"),
    StepKind.SWITCH: ("started", "ready"),
    StepKind.WATCH: ("started", "ready", "shifted"),
    StepKind.PROMOTE: ("started", "ready", "shifted"),
}


def advance(phase: Phase, event: str) -> Phase:
    """Return the phase that follows, or raise IllegalTransition and change nothing."""
    try:
        return NEXT_PHASES[phase][event]
    except KeyError:
        raise IllegalTransition(f"{event!r} cannot happen while {phase}") from None


def begin(phase: Phase, kind: StepKind) -> Phase:
    """Return the phase in which a step of that kind runs: skipped phases are walked through in order."""
    for event in BEGINS.get(kind, ()):
        if event in NEXT_PHASES[phase]:
            phase = advance(phase, event)
    return phase


class EndCode(StrEnum):
    """Why a deployment ended as it did, where no error of its own says so. An error's code stands there otherwise."""

    OVERTAKEN = "overtaken"  # a rollback overtook it
    INTERRUPTED = "interrupted"  # it was interrupted
    PROCESS_DIED = "process_died"  # its process died at the switch, and the next one could go neither on nor back
    UNKNOWN = "unknown"  # the ledger was replaced meanwhile
    INTERNAL = "internal"  # a mistake of ours


@dataclass(frozen=True, slots=True)
class EndReason:
    """Why a deployment ended: an EndCode or an error's code, and the sentence for people."""

    code: str
    message: str
    cause: str | None = None  # of a candidate that failed: a FailureCause
    why: str = ""  # the message without what a page says in its title


@dataclass(frozen=True, slots=True)
class Deployment:
    """One attempt, as the ledger has it. `outcome` is None while it is open."""

    id: int
    app: AppName
    kind: str
    source: int | None
    target: int | None
    phase: Phase
    actor: str
    note: str
    started_at: str
    token: int
    finished_at: str | None = None
    outcome: str | None = None
    error: str | None = None
    evidence: tuple[str, ...] = ()
    abort_by: str | None = None
    error_code: str | None = None  # an EndCode or the code of an error; None for what older builds wrote
    cause: str | None = None  # a FailureCause
    why: str = ""  # `error` without what a page says in its title
    before: App | None = None  # the app as it was when this began: a recovery restores its address


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """Who may change an app now, and since when."""

    app: AppName
    holder: str
    verb: str
    pid: int
    since: str
    token: int
