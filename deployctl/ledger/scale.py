"""How many replicas a component has where that is not what the app's file says.

An app keeps the number that `scale` set, with the number in the file that it was set against: once a version with another
one in its file is live, the file's counts again. A release keeps the number that it runs with, so that a rollback finds the
containers that there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from deployctl.dataclass import replace
from deployctl.domain.change.deployment import Phase
from deployctl.errors import LeaseHeld

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ledger.file.connection import LedgerConnection


def set_scale(db: LedgerConnection, app: AppName, component: ComponentName, count: int, *, written: int, deployment: int,
              token: int) -> None:
    """Record how many replicas of that component there are to be, in the app and in its releases whose file says `written`:
    the deployment cannot be reverted after that. Raises LeaseHeld if another process has the lease."""
    with db.transaction(durable=True):
        lease = db.one("select token from leases where app = ?", [app])
        if lease is None or lease["token"] != token:
            raise LeaseHeld(f"the lease on {app} was taken over by another process")
        db.execute("update apps set scale = json_set(scale, '$.' || json_quote(?), json(?)) where name = ?",
                   [component, json.dumps([count, written]), app])
        db.execute(_SCALE_RELEASES, {"app": app, "component": component, "count": count, "written": written})
        db.execute("update deployments set phase = ? where id = ?", [Phase.DRAINING, deployment])


def scale_of(db: LedgerConnection, app: AppName, components: Sequence[Component]) -> str:
    """Return what the app's numbers are for a release of those components."""
    found = db.one("select scale from apps where name = ? and scale != '{}'", [app])
    wanted = json.loads(found["scale"]) if found else {}
    return json.dumps({one.name: wanted[one.name][0] for one in components
                       if one.name in wanted and wanted[one.name][1] == one.replicas})


def scaled(db: LedgerConnection, release: Release) -> Release:
    """Return a release that is deployed once more, with the app's numbers of today."""
    scale = scale_of(db, release.app, release.components)
    db.execute("update releases set scale = ? where app = ? and number = ?", [scale, release.app, release.number])
    return replace(release, scale=tuple(json.loads(scale).items()))


def forget_scale(db: LedgerConnection, app: AppName, number: int | None) -> None:
    """Forget the numbers that were set against another number than the file of that release has, which is live now."""
    db.execute(_FORGET, [number, app])


_SCALE_RELEASES = """
update releases set scale = json_set(scale, '$.' || json_quote(:component), :count) where app = :app and exists (
    select 1 from json_each(components)
    where json_extract(value, '$.name') = :component and json_extract(value, '$.replicas') = :written)
"""
_FORGET = """
update apps set scale = (
    select json_group_object(s.key, json(s.value)) from json_each(apps.scale) s where exists (
        select 1 from releases r, json_each(r.components) c where r.app = apps.name and r.number = ?
        and json_extract(c.value, '$.name') = s.key and json_extract(c.value, '$.replicas') = json_extract(s.value, '$[1]')))
where name = ? and scale != '{}'
"""
