"""The quality of the live release, read from the metrics samples. Without samples it costs one look at the disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from deployctl.domain.proxy.quality import (
    POINT,
    WINDOW,
    is_degraded,
    may_be_degraded,
    quality_of,
    trouble_of,
)

if TYPE_CHECKING:
    from deployctl.domain.images.release import Change
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.quality import (
        Quality,
        Trouble,
    )
    from deployctl.ports import Services


def find_trouble(app: AppName, active: int, version: str, changes: Sequence[Change], s: Services) -> Trouble | None:
    """Return what is wrong if the active release fails far more than the one before. `changes`: newest first."""
    quality = quality_of(s.meter.points(app, since=_unix(s.clock.utc()) - WINDOW), active)
    if not may_be_degraded(quality):
        return None
    former = _former(app, active, changes, s)
    if not is_degraded(quality, former[1] if former else None):
        return None
    return trouble_of((version, quality), former)


def _former(app: AppName, active: int, changes: Sequence[Change], s: Services) -> tuple[str, Quality] | None:
    """Return the release before, and how it responded in the last minutes in which it got requests."""
    change = next((change for change in changes if change.target == active and change.source != active), None)
    release = s.ledger.find_release(app, change.source) if change and change.source is not None else None
    if change is None or release is None:
        return None
    until = math.ceil(_unix(change.at) / POINT) * POINT  # the sample that contains the switch is the last one
    points = s.meter.busy(app, release.number, until=until, seconds=WINDOW)
    return release.version, quality_of(points, release.number)


def _unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
