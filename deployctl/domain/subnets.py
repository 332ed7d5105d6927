"""Cuts the pool into one /26 per app: 61 instances beside the bridge itself."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network

from deployctl.errors import Refused

PREFIX = 26


def next_subnet(pool: str, taken: Iterable[str]) -> tuple[str, str]:
    """Return the first subnet of the pool that overlaps nothing taken, and its gateway.

    Raises Refused when the pool is used up or belongs to somebody's network.
    """
    read = (ip_network(one, strict=False) for one in taken)  # Docker keeps host bits that a person gave
    others = [network for network in read if isinstance(network, IPv4Network)]
    for subnet in IPv4Network(pool).subnets(new_prefix=PREFIX):
        if not any(subnet.overlaps(other) for other in others):
            return str(subnet), str(next(subnet.hosts()))
    raise Refused(f"no subnet is free in the pool {pool}: this host routes or uses all of it",
                  remedy=['set another pool in config/server.toml: [network] pool = "10.89.0.0/16"'])
