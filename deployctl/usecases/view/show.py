"""One version: exactly what it runs with, and how its last deployment went."""

from __future__ import annotations

from deployctl.usecases.read_facts import remembered, require_app, require_release
from deployctl.usecases.release_view import ReleaseView
from deployctl.usecases.view.readiness import find_readiness
from deployctl.usecases.view.status import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services

SIBLINGS = 200  # other releases of that version that are listed, newest first


def show(app: AppName, version: Version, s: Services, *, release: int | None = None) -> ReleaseView:
    """Return the release that the version means: newest health-checked, else newest; or the one of that number. Raises
    NotFound."""
    one = require_release(remembered(require_app(app, s), s, version, release), version, release)
    view = status(s, app=app).apps[0]
    instance = next((i for i in view.instances if i.release == one.number), None)
    last = s.ledger.last_deployment(app, one.number)
    siblings = tuple(n for n in s.ledger.releases_of(app, version, limit=SIBLINGS) if n != one.number)
    ready = instance.readiness if instance else next(iter(find_readiness(app, s, among=[one.number])), None)
    return ReleaseView(app, one, instance.role if instance else "idle", instance, last, siblings, ready)
