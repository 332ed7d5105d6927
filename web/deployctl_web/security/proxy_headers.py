"""Who asks, when a proxy stands in front: what it says of the address counts if web.proxies names it, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOPS = "HTTP_X_FORWARDED_FOR"
MOST_HOPS = 8  # that are looked at, the last ones
CLAIMS = (HOPS, "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_BY",
          "HTTP_FORWARDED")

Network = IPv4Network | IPv6Network


class Forwarded:
    """The application behind proxies: it sees the address of whoever asked the first of them, and no claim of anybody."""

    def __init__(self, app: WSGIApplication, proxies: Sequence[str]) -> None:
        self._app, self._proxies = app, tuple(ip_network(one) for one in proxies)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        hops = str(environ.get(HOPS, ""))
        for name in CLAIMS:
            environ.pop(name, None)
        if self._proxies:
            environ["REMOTE_ADDR"] = find_asker(str(environ.get("REMOTE_ADDR", "")), hops, self._proxies)
        return self._app(environ, start)


def find_asker(address: str, hops: str, proxies: Sequence[Network]) -> str:
    """Return the last address of that way which is no proxy of ours. Each proxy writes behind what it was told: whoever
    asks may have made up what stands before. Nonsense ends the way at the proxy that handed it on."""
    seen = address
    for hop in (address, *reversed(hops.rsplit(",", MOST_HOPS)[-MOST_HOPS:])):
        at = parse_address(hop)
        if at is None:
            break
        seen = str(at)
        if not any(at in proxy for proxy in proxies):
            break
    return seen


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return it; an IPv4 address in IPv6's clothes is the IPv4 address."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
