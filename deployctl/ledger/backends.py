"""From rows of the ledger to what HAProxy routes to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from deployctl.dataclass import replace
from deployctl.domain.proxy.traffic import Backend, part_name, port_server_id, replica_server_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.stdlib import sqlite3

BACKENDS = """
select i.app, r.number, r.version, r.id, i.address, i.host_port, r.proven_at, r.hold_at, i.component, i.replica,
       n.bridge, n.gateway,
       json_extract(r.bundle, '$.port') as port,
       case when instr(r.components, '"replicas"') or instr(r.components, '"ports"') then r.components end as components
from instances i
join releases r on r.app = i.app and r.number = i.release
left join networks n on n.name = i.network
where i.routed order by i.app, r.number, i.component, i.replica
"""


def backends_of(row: sqlite3.Row, newest: Mapping[tuple[str, str], int], *, bridged: bool) -> Iterator[Backend]:
    """Yield the servers of one instance: one for the app's own address, and one for each further port that leads to it."""
    plain = Backend(
        app=row["app"], release=row["number"], version=row["version"], server_id=row["id"],
        address=row["address"] if bridged else "127.0.0.1",
        port=row["port"] if bridged else row["host_port"],
        bridge=row["bridge"] if bridged else None,
        preview=newest.get((row["app"], row["version"])) == row["number"],
        held=row["hold_at"] is not None,
        gateway=row["gateway"] if bridged else None,
    )
    if row["components"] is None:  # one component with one container, as most are
        yield plain
    else:
        yield from _several(plain, row, json.loads(row["components"]))


def _several(plain: Backend, row: sqlite3.Row, components: list[dict[str, Any]]) -> Iterator[Backend]:
    main = components[0]["name"]
    places = [(one["name"], port) for one in components for port in _further(one)]
    for one in components:
        if one["name"] == row["component"]:
            if one["name"] == main:
                yield _replica(plain, one, row, row["port"])
            for port, names in _further(one).items():
                server_id = port_server_id(row["id"], places.index((one["name"], port)) + 1)
                further = replace(plain, server_id=server_id, port=port, main=False, ports=names,
                                  part=part_name(one["name"], port))
                yield _replica(further, one, row, port)


def _replica(backend: Backend, component: Mapping[str, Any], row: sqlite3.Row, port: int) -> Backend:
    """Return it as one of a pool if its component may have several."""
    if not component.get("replicas"):
        return backend
    return replace(backend, server_id=replica_server_id(row["id"], row["replica"]), replica=row["replica"],
                   part=part_name(component["name"], port))


def _further(component: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """Return the ports of a component that further ports of the app lead to, with their names."""
    found: dict[int, tuple[str, ...]] = {}
    for name, port in sorted(component.get("ports", {}).items()):
        found[port] = (*found.get(port, ()), name)
    return found
