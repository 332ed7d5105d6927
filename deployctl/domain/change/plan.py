"""A plan is data that can be read aloud: shared by `--dry-run`, the ledger, the progress lines and the runner."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.images.component import WEB, InstanceId
from deployctl.domain.inputs.names import AppName, ComponentName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class StepKind(StrEnum):
    IMAGE = "image"  # ensure that the exact image is present and kept
    NETWORK = "network"  # the app's bridge and its guard route
    VOLUME = "volume"  # the app's volumes, each filled from the image of its owner
    CREATE = "create"
    START = "start"
    HEALTH = "health"  # check its health from outside
    JOB = "job"  # run it to its end
    ROUTE = "route"  # HAProxy learns the server and the public address
    GATE = "gate"  # probe it once more, through HAProxy as clients would
    QUEUE = "queue"  # let requests wait at HAProxy: nothing could serve them for a moment
    HAND_OVER = "hand_over"  # end the former version of an exclusive component; the next one begins
    SWITCH = "switch"  # the one atomic change
    RESUME = "resume"  # let requests go on
    WATCH = "watch"  # probes continue under traffic; a failure reverts
    PROMOTE = "promote"  # the ledger records it as active: the point of no return
    SCALE = "scale"  # the ledger records how many replicas there are to be: nothing is reverted after that
    SHRINK = "shrink"  # drain, stop and remove one replica
    WORK = "work"  # start the workers of what is live now
    REST = "rest"  # stop the workers of what was live before
    DRAIN = "drain"
    STOP = "stop"
    PRUNE = "prune"  # remove a container that retention no longer keeps


class PlanKind(StrEnum):
    UPGRADE = "upgrade"
    ROLLBACK = "rollback"
    UNDO = "undo"
    START = "start"
    STOP = "stop"
    SCALE = "scale"
    PRUNE = "prune"
    REMOVE = "remove"
    RECONCILE = "reconcile"


# the others are about all instances of a release at once
ABOUT_AN_INSTANCE = frozenset({StepKind.IMAGE, StepKind.CREATE, StepKind.START, StepKind.HEALTH, StepKind.JOB,
                               StepKind.HAND_OVER, StepKind.SHRINK})
# those that follow each other may overlap: order.py
AT_ONCE = frozenset({StepKind.CREATE, StepKind.START, StepKind.HEALTH, StepKind.JOB})
TRAFFIC_MOVES = frozenset({PlanKind.UPGRADE, PlanKind.ROLLBACK, PlanKind.UNDO, PlanKind.STOP})  # decide what is live


@dataclass(frozen=True, slots=True)
class Step:
    kind: StepKind
    release: int  # number
    sentence: str  # plain text; colours are added in cli/rendering/change.py
    component: ComponentName | None = None  # of the instance that the step is about; None: about the whole release
    replica: int = 1

    @property
    def instance(self) -> InstanceId:
        """Return the instance that the step is about. Raises ValueError when it is about the whole release."""
        if self.component is None:
            raise ValueError(f"{self.kind} is about the whole release")
        return InstanceId(self.release, self.component, self.replica)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Restore a step from the ledger. One that was written before there were components is about the only one."""
        kind = StepKind(raw["kind"])
        component = raw.get("component") or (WEB if kind in ABOUT_AN_INSTANCE else None)
        return cls(kind, raw["release"], raw["sentence"], component, raw.get("replica") or 1)


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
        steps = tuple(Step.from_dict(step) for step in raw["steps"])
        return cls(AppName(raw["app"]), PlanKind(raw["kind"]), raw["source"], raw["target"], steps, raw["summary"],
                   raw["warm"], raw.get("deed", ""))
