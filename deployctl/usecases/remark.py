"""Why the traffic was moved, told afterwards: at 3 a.m. one goes back first and explains later."""

from __future__ import annotations

from deployctl.domain.names import AppName
from deployctl.errors import Invalid, NotFound
from deployctl.ports import Services
from deployctl.usecases.observe import require_app
from deployctl.usecases.results import Done

KIND = "remark"
LONGEST = 500  # characters


def remark(app: AppName, revision: int, text: str, s: Services) -> Done:
    """Put a reason beside the change of that revision; the history itself is never edited. Raises NotFound, Invalid."""
    require_app(app, s)
    reason = text.strip().encode(errors="backslashreplace").decode()
    if not reason or len(reason) > LONGEST:
        raise Invalid(f"A reason has 1 to {LONGEST} characters.")
    if not any(change.revision == revision for change in s.ledger.changes(app)):
        raise NotFound(f"{app} has no revision {revision}.", remedy=[f"deployctl history {app}"])
    s.ledger.event(KIND, reason, at=s.clock.utc(), actor=s.actor, app=app, data={"revision": revision, "note": reason})
    return Done("Remark", app, f"the reason of revision {revision} is noted")
