"""What an app learns about its clients: from HAProxy itself, and from other proxies only if they are trusted.

Lines are found again by their names, so that an app's trusted proxies survive the loss of its ledger: without that, a
front that speaks the PROXY protocol would get 400 for every client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.trust import LOOPBACK_NETWORKS, ProxyTrust
from deployctl.effects.haproxy.socket import wire
from deployctl.errors import Invalid
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.proxy.traffic import TrafficTable

BY_HOST = "-"  # the bind where host names decide; not a valid app name
_FRONT = pattern(r"^  acl front\.([A-Za-z0-9_-]+) (?:src (\S+)|always_false)$", re.MULTILINE)
_EXPECTED = pattern(r"^  tcp-request connection expect-proxy layer4 if \{ so_name -m str -- (\S+) \}", re.MULTILINE)

# A header that an app may read as ours counts as ours: several servers treat _ as -, and read every X-Forwarded-….
_RULES = rf"""
  acl trusted var(txn.trusted) -m found
  acl told req.hdr(x-forwarded-for) -m found
  acl hosted req.hdr(host) -m found
  acl known var(txn.app),map_str({wire.FRONT}) -m found
  http-request set-map({wire.FRONT}) %[var(txn.app)] %[src] if told !trusted {{ src {" ".join(LOOPBACK_NETWORKS)} }} !known
  http-request del-header ^(x[-_](forwarded[-_].*|real[-_]ip)|forwarded)$ -m reg unless trusted
  http-request add-header X-Forwarded-For %[src] if {{ src -m found }}
  http-request set-header X-Forwarded-Proto https if {{ fc_rcvd_proxy }} {{ dst_port 443 }}
  http-request set-header X-Forwarded-Proto http unless {{ req.hdr(x-forwarded-proto) -m found }}
  http-request set-header X-Forwarded-Host %[req.hdr(host)] if hosted !{{ req.hdr(x-forwarded-host) -m found }}""".lstrip("\n")


def connection_lines(table: TrafficTable, spec: ServerSpec) -> list[str]:
    """Return the frontend's lines about connections and networks. Raises Invalid for an invalid network."""
    return [
        *_networks(BY_HOST, spec.trusted_proxies),
        *(line for app, networks in _own_lists(table) for line in _networks(wire.require_app(app), networks)),
        *_expected(table, spec),
        # A bind on [::] reports IPv4 clients as ::ffff:1.2.3.4, which few apps recognise as the address it is.
        "  tcp-request session set-src src,regsub(^::ffff:,) if { src -m beg ::ffff: }",
    ]


def header_lines(table: TrafficTable) -> list[str]:
    """Return the frontend's lines about headers; they come after connection_lines and once txn.app is known."""
    own = [app for app, _ in _own_lists(table)]
    trusted = "  http-request set-var(txn.trusted) bool(true) if"
    return [
        *(f"  acl own var(txn.app) -m str -- {app}" for app in own),
        f"{trusted} front.{BY_HOST}{' !own' if own else ''}",
        *(f"{trusted} {{ var(txn.app) -m str -- {app} }} front.{app}" for app in own),
        _RULES,
    ]


def _own_lists(table: TrafficTable) -> list[tuple[AppName, tuple[str, ...]]]:
    return [(app, trust.networks) for app, trust in sorted(table.trust.items()) if trust.networks is not None]


def _networks(name: str, networks: tuple[str, ...]) -> Iterator[str]:
    """List them one per line: a line of HAProxy's configuration holds 64 words."""
    from ipaddress import ip_network  # not needed by a rollback

    try:
        yield from [f"  acl front.{name} src {ip_network(net, strict=False)}" for net in networks]
    except ValueError as e:
        raise Invalid(f"trusted_proxies: {e}") from e
    if not networks:
        yield f"  acl front.{name} always_false"


def _expected(table: TrafficTable, spec: ServerSpec) -> Iterator[str]:
    """Expect the PROXY protocol from trusted addresses only: other clients speak only for themselves."""
    fronts: dict[str, str] = {BY_HOST: BY_HOST} if spec.proxy_protocol else {}
    for app, trust in sorted(table.trust.items()):
        if trust.proxy_protocol:
            fronts[app] = BY_HOST if trust.networks is None else app
    for bind, front in fronts.items():
        yield f"  tcp-request connection expect-proxy layer4 if {{ so_name -m str -- {bind} }} front.{front}"


def trust_of(config: str) -> Mapping[AppName, ProxyTrust]:
    """Parse which proxies each app trusts by its own setting."""
    networks: dict[str, tuple[str, ...]] = {}
    for found in _FRONT.finditer(config):
        networks[found[1]] = (*networks.get(found[1], ()), *([found[2]] if found[2] else []))
    expected = set(_EXPECTED.findall(config))
    named = (networks.keys() | expected) - {BY_HOST}
    return {AppName(app): ProxyTrust(networks.get(app), app in expected) for app in named}
