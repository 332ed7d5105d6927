"""A plan is data that reads aloud: `--dry-run`, the ledger, the progress lines and the runner share it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import AppName


class StepKind(StrEnum):
    IMAGE = "image"  # make sure that the exact image is here and stays
    NETWORK = "network"  # the app's bridge and its guard route
    CREATE = "create"
    START = "start"
    HEALTH = "health"  # prove it from outside
    ROUTE = "route"  # HAProxy learns the server and the stable address
    GATE = "gate"  # ask it once more, through HAProxy as visitors do
    SWITCH = "switch"  # the one atomic move
    WATCH = "watch"  # probes go on under traffic; a failure goes back
    PROMOTE = "promote"  # the ledger calls it active: the point of no return
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


TRAFFIC_MOVES = frozenset({PlanKind.UPGRADE, PlanKind.ROLLBACK, PlanKind.UNDO, PlanKind.STOP})  # these say who gets the traffic


@dataclass(frozen=True, slots=True)
class Step:
    kind: StepKind
    release: int  # number
    sentence: str  # plain words; colours belong to cli/rendering/change.py


@dataclass(frozen=True, slots=True)
class Plan:
    app: AppName
    kind: PlanKind
    source: int | None  # release that serves before
    target: int | None  # release that serves after
    steps: tuple[Step, ...]
    summary: str
    warm: bool = False  # nothing has to boot
    deed: str = ""  # what it does, for a history of one app: verb and versions

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Read back what the ledger's journal holds of it."""
        steps = tuple(Step(StepKind(r["kind"]), r["release"], r["sentence"]) for r in raw["steps"])
        return cls(AppName(raw["app"]), PlanKind(raw["kind"]), raw["source"], raw["target"], steps, raw["summary"],
                   raw["warm"], raw.get("deed", ""))
