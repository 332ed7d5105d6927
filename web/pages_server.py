"""The server under the apps: what `doctor` finds, who proxies, which engine, and our own version."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, g, jsonify, render_template, request

from deployctl import __version__
from deployctl.domain.access import Role
from deployctl.errors import DeployctlError
from deployctl.ports import Services
from deployctl.usecases.doctor import findings
from deployctl.usecases.results import Finding
from deployctl.web.admission import CONNECTION, Refusal
from deployctl.web.desk import desk
from deployctl.web.rules import needs
from deployctl.web.soon import soon
from deployctl.web.stores import stores

pages = Blueprint("server", __name__)
WORDS = {
    Refusal.ADDRESS: "too many of one address", Refusal.VISITOR: "too many of one visitor", Refusal.FULL: "no room",
    Refusal.DISPLACED: "made room for a newcomer", Refusal.SLOW_REQUEST: "a request that did not end",
    Refusal.PIPELINED: "too many requests at once on one connection",
    Refusal.SLOW_READER: "an answer that nobody read", Refusal.AMBIGUOUS: "no plain HTTP request",
}


@pages.get("/server")
@needs(Role.VIEWER)
def page() -> str:
    return render_template("server.html", **_read(), refusals=WORDS)


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
    return {"findings": found, "wrong": wrong, "facts": facts, "version": __version__, "connections": connections(),
            "memory": [asdict(one) for one in stores(desk())]}


def connections() -> dict[str, Any] | None:
    """Return how many connections are open and were turned away since the start; None where no server of ours serves."""
    if (connection := request.environ.get(CONNECTION)) is None:
        return None
    opened, refused = connection.counts()
    return {"open": opened, "refused": refused, "streams_displaced": desk().hub.displaced}


def _facts(s: Services) -> dict[str, Any]:
    return {"home": str(s.home), "reach": "by their address" if s.bridged else "by published ports",
            "listens": ":".join(map(str, desk().place.listen)), "address": desk().place.base, "process": os.getpid(),
            "apps": len(s.ledger.apps()), "pool": s.spec.pool, "ports": f"{s.spec.ports[0]} to {s.spec.ports[1]}"}
