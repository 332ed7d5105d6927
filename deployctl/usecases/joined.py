"""The networks of others that an app joins: looked at before anything is made."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.domain.release import App
from deployctl.errors import Invalid, NotFound
from deployctl.ports import NetworkFacts, Services

BY_PRIORITY = (1, 48)  # the API from which on the engine is told which network is the way out (Docker 28)


def require_networks(names: Sequence[str], app: App, s: Services) -> list[str]:
    """Return what is to be known of them. Raises NotFound for one that is not there, Invalid for one of deployctl's."""
    if not names:
        return []
    here = {network.name: network for network in s.engine.networks()}
    for name in names:
        _require(name, app, here)
    return _crossing([here[name] for name in names], app, s)


def _require(name: str, app: App, here: dict[str, NetworkFacts]) -> None:
    if name not in here:
        raise NotFound(f"the network {name}, which config/{app.name}.toml names, is not on this server. Nothing was done.",
                       remedy=[f"docker network create {name}", f"or take it out of networks in config/{app.name}.toml"],
                       code="network_missing")
    if here[name].labels.get("deployctl.managed"):
        raise Invalid(f"the network {name}, which config/{app.name}.toml names, belongs to an app of deployctl: no other "
                      "one joins it", remedy=["make one for both: docker network create backend"])


def _crossing(joined: Sequence[NetworkFacts], app: App, s: Services) -> list[str]:
    """Say where an engine before Docker 28 would send what the app sends out: by the network whose name comes first."""
    first = sorted(network.name for network in joined if not network.internal and network.name < app.network)
    if not first or _api(s.engine.info().api) >= BY_PRIORITY:
        return []
    return [f"Docker before 28 chooses the way out by name: what {app.name} sends to other hosts leaves by {first[0]}, and "
            f"not by its own network {app.network}. Visitors still come by its own."]


def _api(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
