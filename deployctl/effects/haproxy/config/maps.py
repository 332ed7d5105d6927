"""HAProxy's map files: which release a server is of, by host name, version and preview; which pool and which port is whose.
A rollback needs no more of the configuration than these.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.effects.haproxy.socket import wire
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Backend, TrafficTable


def maps(table: TrafficTable) -> dict[str, dict[str, str]]:
    """Return every map except the routes: which release is live does not follow from the table."""
    ordered, hosts = ordered_backends(table), sorted(table.hosts.items())
    found = {
        wire.KNOWN: dict(_known(backend) for backend in ordered if backend.preview),
        wire.VERSION: {wire.server_name(backend.app, backend.release): wire.require_name(backend.version)
                       for backend in ordered},
        wire.HOST: {wire.require_name(host).lower(): wire.require_app(app) for host, app in hosts},
    }
    if table.replicated:
        found[wire.POOL] = {way: pool for backend in ordered if (pool := table.leases.get(backend.way))
                            for way in _ways(backend)}
    if table.ports:
        found[wire.PORT] = {f"{backend.of}.{wire.require_app(port)}": backend.way
                            for backend in ordered for port in backend.ports}
    return found


def _ways(backend: Backend) -> list[str]:
    """Return by which names its pool is found: by what requests are for, and by its servers' without the replica."""
    named = f"{backend.of}.{backend.part}"
    return [wire.require_name(way) for way in dict.fromkeys([backend.way, named])]


def placed_backends(table: TrafficTable) -> dict[str, Backend]:
    """Return every server by its place. Raises Invalid for a replica without a pool."""
    return {place_of(table, backend): backend for backend in ordered_backends(table)}


def place_of(table: TrafficTable, backend: Backend) -> str:
    name = wire.backend_name(backend)
    if not backend.replica:
        return name
    if backend.way not in table.leases:
        raise Invalid(f"{name} has no pool in HAProxy")
    return wire.placed(table.leases[backend.way], name)


def _known(backend: Backend) -> tuple[str, str]:
    key = f"{wire.require_app(backend.app)}.{wire.require_name(backend.version)}"
    return key, f"{backend.release}:held" if backend.held else str(backend.release)


def map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{wire.require_name(key)} {wire.require_value(value)}\n" for key, value in entries.items())


def read_map(text: str) -> dict[str, str]:
    """Parse a map file; lines that are not entries are skipped."""
    words = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {pair[0]: pair[1] for pair in words if len(pair) == 2}


def ordered_backends(table: TrafficTable) -> list[Backend]:
    return sorted(table.backends, key=lambda backend: (backend.app, backend.release, backend.part, backend.replica))
