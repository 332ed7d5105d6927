"""The client's address behind a proxy: X-Forwarded-For is trusted only from addresses in web.proxies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOPS = "HTTP_X_FORWARDED_FOR"
MOST_HOPS = 8  # that are considered, the last ones
CLAIMS = (HOPS, "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_BY",
          "HTTP_FORWARDED")

Network = IPv4Network | IPv6Network


class Forwarded:
    """The application behind proxies: it sees the address of the client of the first one, and no untrusted claims."""

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
    """Return the last address of that chain which is not a proxy of ours. Each proxy appends to what it received: the
    client may have invented everything before. An invalid entry ends the chain at the proxy that passed it on."""
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
    """Return it; an IPv4-mapped IPv6 address is returned as the IPv4 address."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
