"""One version: what exactly it runs with, and how its last deployment went."""

from __future__ import annotations

from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.observe import require_app, require_release
from deployctl.usecases.readiness import find_readiness
from deployctl.usecases.results import ReleaseView
from deployctl.usecases.status import status


def show(app: AppName, version: Version, s: Services, *, release: int | None = None) -> ReleaseView:
    """Return the release that the version means: newest proven, else newest; or the one of that number. Raises NotFound."""
    facts = Facts(require_app(app, s), {r.number: r for r in s.ledger.releases(app)})
    one = require_release(facts, version, release)
    view = status(s, app=app).apps[0]
    instance = next((i for i in view.instances if i.release == one.number), None)
    last = next((d for d in s.ledger.deployments(app, limit=200) if d.target == one.number), None)
    siblings = tuple(r.number for r in s.ledger.releases(app) if r.version == version and r.number != one.number)
    ready = instance.readiness if instance else next(iter(find_readiness(app, s, among=[one.number])), None)
    return ReleaseView(app, one, instance.role if instance else "idle", instance, last, siblings, ready)
