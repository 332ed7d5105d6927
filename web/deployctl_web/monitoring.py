"""What monitors ask for: /healthz says in one word whether this server can do its work, /metrics gives the figures."""

from __future__ import annotations

from flask import Blueprint, Response, request

from deployctl.errors import DeployctlError
from deployctl_web.security.authorization import EVERYBODY, SIGNED_IN, needs
from deployctl_web.services_pool import SOMEBODY
from deployctl_web.state import web_state

pages = Blueprint("monitoring", "deployctl_web.monitoring")


@pages.get("/healthz")
@needs(EVERYBODY)
def healthz() -> Response:
    """Return 200 `ok`, or 503 and which part is not responding: `ledger` or `proxy`. Docker is not part of it: without
    Docker everything live keeps running, and switches work."""
    found = _trouble()
    return Response(f"{found or 'ok'}\n", 503 if found else 200, mimetype="text/plain")


def _trouble() -> str | None:
    try:
        with web_state().pool.lend(SOMEBODY) as s:
            served = any(app.active is not None for app in s.ledger.apps())
            alive = s.traffic.pid() is not None
    except DeployctlError:
        return "ledger"
    return "proxy" if served and not alive else None


@pages.get("/metrics")
@needs(SIGNED_IN)
def metrics() -> Response:
    from deployctl_web.metrics import render  # at the first scrape: most homes have no monitor

    body, mimetype = render(request.headers.get("Accept", ""))
    return Response(body, content_type=mimetype)
