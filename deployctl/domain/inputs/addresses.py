"""Addresses and networks as text: where we listen, whom we trust, which pool is ours. Names are never resolved."""

from __future__ import annotations

import re
from collections.abc import Callable

from deployctl.domain.inputs.grammar import refused
from deployctl.domain.inputs.quantities import parse_port, parse_port_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar
    T = TypeVar("T")

_LISTEN = 'A listen address is a port (8000) or an address and a port: "0.0.0.0:8000", "[::1]:8000".'
_POOL = 'The pool is a private IPv4 network of /12 to /24: "172.28.0.0/14".'
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def parse_listen(value: object, *, field: str = "listen") -> tuple[str, int]:
    """Return address and port; a bare port means 127.0.0.1."""
    if not isinstance(value, str) or re.fullmatch(r"[1-9][0-9]{0,4}", value):
        return "127.0.0.1", parse_port(value, field=field)
    found = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,6})", value)
    address = _listening(found["six"], found["four"]) if found else None
    if found is None or address is None:
        raise refused(field, value, "is not a listen address", _guess(value), _LISTEN)
    return address, parse_port_text(found["port"], field=field)


def parse_listen_text(text: str, *, field: str = "listen") -> tuple[str, int]:
    """Return address and port as typed on a command line, where a port needs no quotes."""
    if re.fullmatch(r"[0-9]+", text):
        return "127.0.0.1", parse_port_text(text, field=field)
    return parse_listen(text, field=field)


def _guess(value: str) -> str | None:
    found = re.fullmatch(r"(localhost|\*|):([1-9][0-9]{0,4})", value)
    if found is None:
        return None
    return f'Write "127.0.0.1:{found[2]}".' if found[1] == "localhost" else f'Write "0.0.0.0:{found[2]}".'


def _listening(six: str | None, four: str | None) -> str | None:
    """Return the address in canonical form if a host can listen on it."""
    from ipaddress import IPv4Address, IPv6Address

    address = _or_none(lambda: IPv6Address(six) if six else IPv4Address(str(four)))
    if address is None or address.is_multicast or str(address) == "255.255.255.255":
        return None
    return None if isinstance(address, IPv6Address) and address.ipv4_mapped else str(address)


def write_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_network(value: object, *, field: str = "network") -> str:
    """Return one network; host bits must be zero."""
    from ipaddress import ip_network

    plain = isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F:.]+(?:/[0-9]{1,3})?", value)
    network = _or_none(lambda: ip_network(str(value))) if plain else None
    if network is None:
        raise refused(field, value, "is not a network", 'Write it as "10.0.0.0/8" or "fd00::/8", with host bits zero.')
    return str(network)


def parse_networks(value: object, *, field: str = "networks") -> tuple[str, ...]:
    """Return the networks in a list; an empty list means none."""
    return tuple(parse_network(one, field=field) for one in listed(value, field, '["127.0.0.0/8", "::1/128"]'))


def listed(value: object, field: str, sample: str) -> list[object]:
    """Return the list; anything else is rejected with the sample."""
    if not isinstance(value, list):
        raise refused(field, value, "is not a list", f"Write a list: {sample}.")
    return value


def parse_pool(value: object, *, field: str = "pool") -> str:
    """Return the network that apps' bridges are taken from."""
    from ipaddress import IPv4Network

    pool = _or_none(lambda: IPv4Network(parse_network(value, field=field)))
    if pool is None or not any(pool.subnet_of(IPv4Network(private)) for private in _PRIVATE):
        raise refused(field, value, "is not a private IPv4 network", _POOL)
    if not 12 <= pool.prefixlen <= 24:
        raise refused(field, value, "is too wide or too narrow", _POOL)
    return str(pool)


def _or_none(make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ValueError:
        return None


def overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Return whether two sockets could not listen on both: same port, same address or one that covers the other."""
    from ipaddress import ip_address

    if one[1] != other[1]:
        return False
    same_family = (":" in one[0]) == (":" in other[0])
    any_of_its_family = any(ip_address(host).is_unspecified for host in (one[0], other[0]))
    return one == other or "::" in (one[0], other[0]) or (same_family and any_of_its_family)


def covers(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Return whether a socket that listens on `one` is also reached at `other`."""
    return one == other or (overlap(one, other) and one[0] in {"::", "0.0.0.0"} and other[0] != "::")  # noqa: S104
