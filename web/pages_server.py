"""The server under the apps: what `doctor` finds, who proxies, which engine, and our own version."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, g, jsonify, render_template

from deployctl import __version__
from deployctl.domain.access import Role
from deployctl.errors import DeployctlError
from deployctl.ports import Services
from deployctl.usecases.doctor import findings
from deployctl.usecases.results import Finding
from deployctl.web.desk import desk
from deployctl.web.rules import needs
from deployctl.web.soon import soon

pages = Blueprint("server", __name__)


@pages.get("/server")
@needs(Role.VIEWER)
def page() -> str:
    return render_template("server.html", **_read())


@pages.get("/server.json")
@needs(Role.VIEWER)
def twin() -> Response:
    read = _read()
    return jsonify({**read, "schema": "deployctl/v1", "kind": "Server", "findings": [asdict(f) for f in read["findings"]]})


def _read() -> dict[str, Any]:
    """Return everything, or what can be told while the engine takes long."""
    wrong, found = "", list[Finding]()
    try:
        found = soon(findings, g.who.actor, what="the state of this server")
    except DeployctlError as e:
        wrong = e.message
    with desk().pool.lend(g.who.actor) as s:
        facts = _facts(s)
    return {"findings": found, "wrong": wrong, "facts": facts, "version": __version__}


def _facts(s: Services) -> dict[str, Any]:
    return {"home": str(s.home), "reach": "by their address" if s.bridged else "by published ports",
            "listens": ":".join(map(str, desk().place.listen)), "address": desk().place.base, "process": os.getpid(),
            "apps": len(s.ledger.apps()), "pool": s.spec.pool, "ports": f"{s.spec.ports[0]} to {s.spec.ports[1]}"}
