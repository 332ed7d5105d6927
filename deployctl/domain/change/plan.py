"""A plan is data that can be read aloud: shared by `--dry-run`, the ledger, the progress lines and the runner."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import AppName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class StepKind(StrEnum):
    IMAGE = "image"  # ensure that the exact image is present and kept
    NETWORK = "network"  # the app's bridge and its guard route
    CREATE = "create"
    START = "start"
    HEALTH = "health"  # check its health from outside
    ROUTE = "route"  # HAProxy learns the server and the public address
    GATE = "gate"  # probe it once more, through HAProxy as clients would
    SWITCH = "switch"  # the one atomic change
    WATCH = "watch"  # probes continue under traffic; a failure reverts
    PROMOTE = "promote"  # the ledger records it as active: the point of no return
    DRAIN = "drain"
    STOP = "stop"
    PRUNE = "prune"  # remove a container that retention no longer keeps


class PlanKind(StrEnum):
    UPGRADE = "upgrade"
    ROLLBACK = "rollback"
    UNDO = "undo"
    START = "start"
    STOP = "stop"
    PRUNE = "prune"
    REMOVE = "remove"
    RECONCILE = "reconcile"


TRAFFIC_MOVES = frozenset({PlanKind.UPGRADE, PlanKind.ROLLBACK, PlanKind.UNDO, PlanKind.STOP})  # decide what is live


@dataclass(frozen=True, slots=True)
class Step:
    kind: StepKind
    release: int  # number
    sentence: str  # plain text; colours are added in cli/rendering/change.py


@dataclass(frozen=True, slots=True)
class Plan:
    app: AppName
    kind: PlanKind
    source: int | None  # release that is live before
    target: int | None  # release that is live afterwards
    steps: tuple[Step, ...]
    summary: str
    warm: bool = False  # nothing has to boot
    deed: str = ""  # what it does, for an app's history: action and versions

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Restore a plan from the ledger's journal."""
        steps = tuple(Step(StepKind(r["kind"]), r["release"], r["sentence"]) for r in raw["steps"])
        return cls(AppName(raw["app"]), PlanKind(raw["kind"]), raw["source"], raw["target"], steps, raw["summary"],
                   raw["warm"], raw.get("deed", ""))
