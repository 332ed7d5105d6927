"""How often one person may change something, by pages and by the API together, whichever session or token they come with.

Going back, stopping what goes wrong and signing out are never counted.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Flask, current_app, g
from flask_limiter import Limiter

from deployctl.errors import DeployctlError
from deployctl_web.api.endpoint import calls_of
from deployctl_web.live.jobs import BACK
from deployctl_web.security.authorization import EVERYBODY, rule_of
from deployctl_web.security.request_checks import SAFE

CHANGES = "60 per minute"
UNLIMITED = frozenset({"sign_in.leave", *(f"act.{verb}" for verb in BACK)})  # forms; a call of the API says so itself


class TooManyChanges(DeployctlError):
    code = "too_many_requests"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(f"too many changes in a minute. Nothing was done. Try again in {retry_after:.0f} s.")


def put_change_limits(app: Flask, limiter: Limiter) -> None:
    """Bound every route that changes something for whoever is signed in."""
    limited: Any = limiter.shared_limit(CHANGES, scope="changes", key_func=lambda: str(g.who.person))
    changing = {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - SAFE}
    unlimited = UNLIMITED | {name for name, call in calls_of(app).items() if call.unlimited}
    for name in changing - unlimited:
        if rule_of(app, name) != EVERYBODY:
            app.view_functions[name] = limited(app.view_functions[name])


def seconds_left() -> float:
    """Return for how many seconds this request's limit is used up."""
    limit = next(iter(current_app.extensions["limiter"])).current_limit
    return max(1.0, limit.reset_at - time.time()) if limit else 1.0
