"""An app's network, and how the pool is divided: a /24 each, or less if the pool has no room for that."""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.dataclass import dataclass
from deployctl.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network

PREFIXES = (24, 25, 26)  # the first that is free; a narrow pool from before may have no /24 left
ENGINES_OWN = 28  # the last so many bits of a network are for addresses that the engine picks itself
ADDRESSES = 238  # addresses that a /24 has for containers: 256 less network, gateway and the engine's own 16


@dataclass(frozen=True, slots=True)
class AppNetwork:
    """A bridge network of an app. New containers go to the app's own one; running ones stay in the one they were
    created in."""

    name: str  # Docker's name
    bridge: str  # the host's interface, at most 15 characters
    subnet: str
    gateway: str  # its first address
    engines_own: str | None = None  # the range from which the engine picks itself; None: all of it, as 0.1.0 created it

    @property
    def is_wide(self) -> bool:
        """Return whether it has room for releases of several components, and a part of its own for the engine."""
        return self.engines_own is not None and int(self.subnet.rpartition("/")[2]) <= PREFIXES[0]

    def addresses(self) -> list[str]:
        """Return the addresses that may be leased to containers, in order."""
        from ipaddress import IPv4Network  # here and below: expensive to import, and not needed by a rollback

        own = IPv4Network(self.engines_own) if self.engines_own else None
        return [str(one) for one in IPv4Network(self.subnet).hosts()
                if str(one) != self.gateway and not (own and one in own)]


def mac_of(address: str) -> str:
    """Return the MAC that a container with that IPv4 address is created with: locally administered, with a two-byte
    prefix of ours that no engine picks."""
    return ":".join(("0a", "dc", *(f"{int(part):02x}" for part in address.split("."))))


def cut(pool: str, taken: Iterable[str]) -> tuple[str, str, str]:
    """Return the first subnet of the pool that overlaps nothing taken, its gateway, and the engine's own part of it.

    Raises Refused when the pool is used up or overlaps a foreign network.
    """
    from ipaddress import IPv4Network

    whole = IPv4Network(pool)
    ranges = sorted((int(other[0]), int(other[-1])) for other in _ipv4(taken) if other.overlaps(whole))
    for prefix in (max(prefix, whole.prefixlen) for prefix in PREFIXES):
        if (subnet := _first_between(ranges, whole, prefix)) is not None:
            own = list(subnet.subnets(new_prefix=ENGINES_OWN))[-1]
            return str(subnet), str(subnet[1]), str(own)
    raise Refused(f"no free subnet in the pool {pool}: this host routes or uses all of it",
                  remedy=['set another pool in config/server.toml: [network] pool = "10.88.0.0/14"'])


def _first_between(ranges: Iterable[tuple[int, int]], whole: IPv4Network, prefix: int) -> IPv4Network | None:
    """Return the first subnet of that length outside all ranges, which are sorted: one pass, however many there are."""
    from ipaddress import IPv4Network

    size, start = 1 << whole.max_prefixlen - prefix, int(whole[0])
    for low, high in ranges:
        if low >= start + size:
            break
        start = max(start, (high // size + 1) * size)
    return IPv4Network((start, prefix)) if start <= int(whole[-1]) else None


def find_taken(network: AppNetwork, *, subnets: Iterable[str], routes: Iterable[str]) -> str | None:
    """Return what occupies the network's subnet now: another network that overlaps it, or a route into it. A wider
    route does not matter, because the more specific one wins."""
    from ipaddress import IPv4Network

    mine = IPv4Network(network.subnet)
    there = next((other for other in _ipv4(subnets) if other.overlaps(mine)), None)
    return str(there or next((route for route in _ipv4(routes) if route.subnet_of(mine)), None) or "") or None


def _ipv4(subnets: Iterable[str]) -> list[IPv4Network]:
    from ipaddress import IPv4Network, ip_network

    read = (ip_network(one, strict=False) for one in subnets)  # Docker keeps host bits that a user typed
    return [network for network in read if isinstance(network, IPv4Network)]
