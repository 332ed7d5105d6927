"""A container's places in networks: joined beside its own, given, taken away."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.effects.docker import requests as words
from deployctl.errors import NotFound, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.ports import ContainerFacts, Endpoint


def join(api: APIClient, found: ContainerFacts, network: Mapping[str, Any] | None, name: str) -> None:
    """Connect it to an unmanaged network, where the engine chooses its address."""
    if network is None:
        raise NotFound(f"the network {name} is not on this server", remedy=[f"docker network create {name}"])
    if (network.get("Labels") or {}).get(words.MANAGED):
        raise NotPermitted(f"the network {name} belongs to an app of deployctl and cannot be joined")
    if name in found.networks:
        if found.network_ids.get(name, "") in {"", network["Id"]}:
            return
        api.disconnect_container_from_network(found.id, name, force=True)  # a removed one of that name
    api.connect_container_to_network(found.id, network["Id"])


def attach(endpoint: Endpoint, api: APIClient, found: ContainerFacts, *, timeout: float, address: str) -> None:
    """Give it that place in a network of ours. Until API 1.44 the MAC comes from the container's own configuration, which
    was created for the same address. After a refusal Docker lists the network: the
    container has no address in it, and cannot be disconnected from it."""
    if endpoint.network in found.networks:
        there = found.addresses.get(endpoint.network) or (None if found.running else found.asked.get(endpoint.network))
        if there == endpoint.address:
            return
        if there is not None:
            detach(endpoint.network, api, found)
    body = {"Container": found.id, "EndpointConfig": words.endpoint_request(endpoint, among_others=bool(found.networks))}
    answer = api.post(f"{api.base_url}/networks/{endpoint.network}/connect", json=body, timeout=timeout)
    if answer.status_code != 200:  # docker-py's own call knows no priority
        from deployctl.effects.docker.errors import from_answer

        raise from_answer(answer.status_code, _message(answer), doing=f"attach {found.name}", address=address)


def _message(answer: Any) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return str(answer.text)


def detach(network: str, api: APIClient, found: ContainerFacts) -> None:
    listed = network in found.networks
    if listed and (not found.running or network in found.addresses):
        api.disconnect_container_from_network(found.id, network, force=True)
