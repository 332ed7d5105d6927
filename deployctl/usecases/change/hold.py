"""Keep a version from being deployed again, or release it."""

from __future__ import annotations

from deployctl.domain.images.release import Hold
from deployctl.usecases.read_facts import observe, require_release, routes
from deployctl.usecases.results import Done
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services


def hold(app: AppName, version: Version, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Done:
    """Hold every release of that version; newer versions deploy as before. Traffic is not touched."""
    done = _write(app, version, s, options, Hold(s.clock.utc(), s.actor, options.note or "held manually"))
    return Done("Hold", app, f"{app} {version} is on hold: it cannot be deployed again",
                (f"Release the hold: deployctl unhold {app} {version}",), changed=done)


def unhold(app: AppName, version: Version, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Done:
    """Release the hold of every release of that version."""
    done = _write(app, version, s, options, None)
    return Done("Unhold", app, f"{app} {version} can be deployed" + ("" if done else "; it was not on hold"), changed=done)


def _write(app: AppName, version: Version, s: Services, options: ChangeOptions, mark: Hold | None) -> bool:
    with lease(app, "hold" if mark else "unhold", s, options) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        facts = observe(app, s, version)
        require_revision(facts, options)
        require_release(facts, version)
        changed = s.ledger.set_hold(app, version, None, mark) > 0
        s.ledger.event("held" if mark else "released", f"{app} {version}", at=s.clock.utc(), actor=s.actor, app=app,
                       data={"note": options.note, "version": version})
        routes(s)
        s.traffic.refresh_previews()
        return changed
