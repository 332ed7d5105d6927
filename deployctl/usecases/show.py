"""One version: what exactly it runs with, and how its last deployment went."""

from __future__ import annotations

from deployctl.domain.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.observe import no_such_version, require_app
from deployctl.usecases.readiness import find_readiness
from deployctl.usecases.results import ReleaseView
from deployctl.usecases.status import status


def show(app: AppName, version: Version, s: Services) -> ReleaseView:
    """Return the release that the version means: newest proven, else newest. Raises NotFound."""
    require_app(app, s)
    known = s.ledger.releases(app)
    named = [r for r in known if r.version == version]
    if not named:
        raise no_such_version(app, version, [r.version for r in known])
    release = next((r for r in named if r.proven_at), named[0])
    view = status(s, app=app).apps[0]
    instance = next((i for i in view.instances if i.release == release.number), None)
    last = next((d for d in s.ledger.deployments(app, limit=200) if d.target == release.number), None)
    siblings = tuple(r.number for r in named if r.number != release.number)
    ready = instance.readiness if instance else next(iter(find_readiness(app, s, among=[release.number])), None)
    return ReleaseView(app, release, instance.role if instance else "idle", instance, last, siblings, ready)
