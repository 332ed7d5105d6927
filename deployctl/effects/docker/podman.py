"""Podman speaks Docker's API with a few omissions; its own API (libpod) has those. From 5.0 on: 4.x has no update."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from deployctl.dataclass import replace
from deployctl.effects.docker.reader import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.ports import ContainerFacts

    Get = Callable[[str], Any]

LIBPOD = "/v4.0.0/libpod"
FIRST_WITH_UPDATE = 5  # POST /containers/{id}/update does not exist before


def is_podman(version: Mapping[str, Any]) -> bool:
    """Return whether the engine that gave this /version response is Podman."""
    return any(part.get("Name") == "Podman Engine" for part in version.get("Components") or ())


def cannot_update(version: Mapping[str, Any]) -> bool:
    major = re.match(r"[0-9]+", version.get("Version") or "")
    return is_podman(version) and major is not None and int(major[0]) < FIRST_WITH_UPDATE


def with_healthcheck(image: Mapping[str, Any], get: Get) -> dict[str, Any]:
    """Return the inspected image with the HEALTHCHECK, which only Podman's own API reports."""
    inspected = get(f"{LIBPOD}/images/{quoted(image['Id'])}/json") or {}
    return {**image, "Config": {**(image.get("Config") or {}), "Healthcheck": inspected.get("Healthcheck")}}


def with_bridges(networks: Sequence[Mapping[str, Any]], get: Get) -> list[dict[str, Any]]:
    """Return the networks with the names of their bridges, as Docker reports them."""
    from deployctl.effects.docker.requests import BRIDGE

    bridges = {network["name"]: network.get("network_interface") for network in get(f"{LIBPOD}/networks/json") or ()}
    return [{**raw, "Options": {**(raw.get("Options") or {}), BRIDGE: bridges.get(raw["Name"])}} for raw in networks]


def without_cap_drop(container: ContainerFacts) -> ContainerFacts:
    """Return it without its dropped capabilities: Podman reports only those of its default set."""
    return replace(container, cap_drop=None)


def limits_in_quota(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same limits as a CPU quota: after an update of NanoCpus Podman keeps reporting the former number."""
    period = 100_000  # microseconds, the kernel's own default
    rest = {key: value for key, value in limits.items() if key != "NanoCpus"}
    return {**rest, "CpuPeriod": period, "CpuQuota": limits["NanoCpus"] * period // 10**9}
