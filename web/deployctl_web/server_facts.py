"""This dashboard as a process: where it listens, what it keeps in memory, how many connections it has. For page and
API."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import request

from deployctl import __version__
from deployctl.dataclass import dataclass
from deployctl.memory import Store
from deployctl.ports import Services
from deployctl.usecases.listings import Findings
from deployctl_web.http.admission import CONNECTION
from deployctl_web.live.stores import stores
from deployctl_web.state import web_state


@dataclass(frozen=True, slots=True)
class Connections:
    """Since the start of the process: how many are open, how many were rejected and why, and how many live pages ended
    for newer ones."""

    open: Mapping[str, int]
    rejected: Mapping[str, int]
    streams_displaced: int


@dataclass(frozen=True, slots=True)
class DashboardFacts:
    version: str
    process: int  # id
    home: str
    address: str  # base URL
    listens: str  # HOST:PORT
    apps: int
    network_pool: str
    host_ports: tuple[int, int]  # first and last
    containers_reached_by: str  # address, published_port
    connections: Connections | None  # None: another server carries the request
    memory: tuple[Store, ...]  # estimates


@dataclass(frozen=True, slots=True)
class ServerChecks:
    checks: Findings
    dashboard: DashboardFacts


def dashboard_facts(s: Services) -> DashboardFacts:
    """Return what is known without querying the engine."""
    low, high = s.spec.ports
    return DashboardFacts(
        __version__, os.getpid(), str(s.home), web_state().place.base, ":".join(map(str, web_state().place.listen)),
        len(s.ledger.apps()), str(s.spec.pool), (low, high), "address" if s.bridged else "published_port", connections(),
        tuple(stores(web_state())))


def connections() -> Connections | None:
    """Return the counters of the server that carries this request, None if it is not ours."""
    if (connection := request.environ.get(CONNECTION)) is None:
        return None
    opened, refused = connection.counts()
    return Connections(opened, refused, web_state().broker.displaced)
