"""The existing networks that an app joins: checked before anything is created."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.errors import Invalid, NotFound
from deployctl.execution.labels import app_of_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import ContainerFacts, NetworkFacts, Services

BY_PRIORITY = (1, 48)  # the API version from which the engine accepts which network is the default route (Docker 28)


def require_networks(names: Sequence[str], app: AppName, s: Services) -> list[NetworkFacts]:
    """Return those networks. Raises NotFound for one that does not exist, Invalid for one of deployctl's."""
    existing = {network.name: network for network in s.engine.networks()} if names else {}
    return [_require(name, app, existing.get(name)) for name in names]


def _require(name: str, app: AppName, found: NetworkFacts | None) -> NetworkFacts:
    if found is None:
        raise NotFound(f"the network {name}, listed in config/{app}.toml, is not on this server. Nothing was changed.",
                       remedy=[f"docker network create {name}", f"or remove it from networks in config/{app}.toml"],
                       code="network_missing")
    if found.labels.get("deployctl.managed"):
        raise Invalid(f"the network {name}, listed in config/{app}.toml, belongs to an app of deployctl and cannot be "
                      "joined", remedy=["create one for both: docker network create backend"])
    return found


def leading(joined: Sequence[NetworkFacts], app: App, s: Services) -> list[str]:
    """Return the networks that would be the default route instead of the app's own, and carry its published port.
    Before Docker 28 that is the one whose name sorts first."""
    first = sorted(network.name for network in joined if not network.internal and network.name < app.network)
    return first if first and _api(s.engine.info().api) < BY_PRIORITY else []


def other_way_out(joined: Sequence[NetworkFacts], app: App, s: Services) -> list[str]:
    """Return a warning if the app's own network, whose name does not change, is not the default route."""
    return [f"Docker before 28 chooses the default gateway by network name: outgoing traffic of {app.name} uses {name}, "
            f"not its own network {app.network}. Incoming traffic still uses its own." for name in leading(joined, app, s)[:1]]


def dropped(names: Sequence[str], row: App | None, active: Release | None, containers: Sequence[ContainerFacts],
            s: Services) -> list[str]:
    """Return a warning if someone connected the active release to networks that the file does not name."""
    instance = s.ledger.find_instance(row.name, active.main) if row and active else None
    seen = next((c for c in containers if instance and c.id == instance.container), None)
    if seen is None or row is None or active is None:
        return []
    mine = {name for name in seen.networks if app_of_network(s.ledger.identity, name)}
    more = sorted({*seen.networks} - {*mine, *active.bundle.networks, *names})
    line = ", ".join(f'"{name}"' for name in (*names, *more))
    return [f"The live version was connected to {', '.join(more)} manually; this one is not. To keep it, add "
            f"networks = [{line}] to config/{row.name}.toml"] if more else []


def _api(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
