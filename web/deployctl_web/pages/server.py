"""The server under the apps: system checks, proxies, the engine, and deployctl's version."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template

from deployctl.domain.host.access import Role
from deployctl.errors import DeployctlError
from deployctl.usecases.listings import Finding
from deployctl.usecases.setup.doctor import findings
from deployctl_web.http.admission import AdmissionRefusal
from deployctl_web.pages.parts.bounded_call import call_within
from deployctl_web.security.authorization import needs
from deployctl_web.server_facts import dashboard_facts
from deployctl_web.state import web_state

pages = Blueprint("server", __name__)
WORDS = {
    AdmissionRefusal.ADDRESS: "too many from one address", AdmissionRefusal.VISITOR: "too many from one client",
    AdmissionRefusal.FULL: "all connections in use",
    AdmissionRefusal.DISPLACED: "closed to make room", AdmissionRefusal.SLOW_REQUEST: "request too slow",
    AdmissionRefusal.PIPELINED: "too many pipelined requests",
    AdmissionRefusal.SLOW_READER: "response not read in time", AdmissionRefusal.AMBIGUOUS: "malformed HTTP request",
}


@pages.get("/server")
@needs(Role.VIEWER)
def page() -> str:
    return render_template("server.html", **_read(), refusals=WORDS)


def _read() -> dict[str, Any]:
    """Return everything, or what is available while the engine takes long."""
    wrong, found = "", list[Finding]()
    try:
        found = call_within(findings, g.who.actor, what="the state of this server")
    except DeployctlError as e:
        wrong = e.message
    with web_state().pool.lend(g.who.actor) as s:
        return {"findings": found, "wrong": wrong, "facts": dashboard_facts(s)}
