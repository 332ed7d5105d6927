"""HAProxy's own error responses to an app's clients: its 4xx and 5xx, each with its cause."""

from __future__ import annotations

from deployctl.usecases.clock_math import later
from deployctl.usecases.read_facts import require_app

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.rejections import Rejection
    from deployctl.ports import Services


def refusals(app: AppName, s: Services, *, tail: int = 100, since: float | None = None,
             grep: str | None = None) -> list[Rejection]:
    """Return the last `tail` of them, oldest first. `since`: seconds ago.

    An app with host names also gets those that belong to no app: on the shared address, a request that could not be
    read has no host, and an unknown host may be a name that is missing in the app's file.
    """
    owners = {app, None} if require_app(app, s).hosts else {app}
    earliest = "" if since is None else later(s.clock.utc(), -since)
    found = [one for one in s.traffic.refusals() if one.app in owners and one.at >= earliest]
    return [one for one in found if grep is None or grep in one.sentence][-tail:] if tail else []
