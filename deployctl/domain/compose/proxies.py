"""Proxies of others: they are left out, and what they routed becomes addresses of the app, or a gap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.compose.gaps import GapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.compose.service import Part, Service, Surroundings

_PROGRAMS = frozenset({"traefik", "caddy-docker-proxy", "nginx-proxy", "acme-companion", "letsencrypt-nginx-proxy-companion",
                       "docker-letsencrypt-nginx-proxy-companion", "nginx-proxy-manager", "swag"})
_MAY_SERVE = frozenset({"caddy", "nginx", "nginx-unprivileged", "haproxy"})  # files of their own, too
_HOST = re.compile(r"Host\(([^)]*)\)")
_QUOTED = re.compile(r"[`'\"]([^`'\"]+)[`'\"]")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_PASS = re.compile(r"proxy_pass\s+https?://([A-Za-z0-9_.-]+)(?::([0-9]+))?")
_UPSTREAM = re.compile(r"upstream\s+([A-Za-z0-9_.-]+)\s*\{\s*(?:[a-z_]+;\s*)*server\s+([A-Za-z0-9_.-]+)(?::([0-9]+))?")
_CADDY = re.compile(r"reverse_proxy\s+(?:/\S*\s+)?(?:https?://)?([A-Za-z0-9_.-]+)(?::([0-9]+))?")
_SERVES_ITSELF = re.compile(r"^\s*(?:root|alias|fastcgi_pass|uwsgi_pass|file_server|php_fastcgi)\b", re.M)
_GATES = re.compile(r"(?i)forwardauth|basicauth|digestauth|ipallowlist|ipwhitelist|inflightreq")
_GATE_FILE = re.compile(r"(?m)^\s*(?:auth_basic|auth_request|allow\s|deny\s|basicauth|basic_auth|forward_auth|"
                        r"ssl_verify_client|client_auth|remote_ip)")
_TLS_WORDS = re.compile(r"(?i)\.tls(?:[.=]|$)|certresolver|LETSENCRYPT_HOST")


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """What a proxy sends to a service."""

    service: str
    port: int | None = None
    hosts: tuple[str, ...] = ()
    path: str = ""  # only requests below it; empty: all
    tls: bool = False
    gated: bool = False  # some may not pass


def is_proxy(service: Service, services: Mapping[str, Service], around: Surroundings) -> bool:
    """Return whether it only passes requests on. nginx and Caddy may also serve files of their own: then it is no proxy."""
    if service.is_built:
        return False
    if service.program in _PROGRAMS:
        return True
    texts = _files(service, around)
    return (service.program in _MAY_SERVE and bool(texts)
            and any(route.service in services for text in texts for route in _of_file(text, services))
            and not any(_SERVES_ITSELF.search(text) for text in texts))


def _files(service: Service, around: Surroundings) -> list[str]:
    found = [around.paths.get(one["source"]) for one in service.raw.get("volumes") or () if one["type"] == "bind"]
    return [text.decode(errors="replace") for one in found if one for text in one.files.values()]


def routes(services: Mapping[str, Service], proxies: Mapping[str, Service], around: Surroundings) -> Iterator[ProxyRoute]:
    """Yield what the proxies route, by labels, by variables of nginx-proxy, and by their files."""
    if any(one.program in {"traefik"} for one in proxies.values()):
        for service in services.values():
            if service.name not in proxies:
                yield from _of_labels(service)
    if any(one.program == "nginx-proxy" for one in proxies.values()):
        for service in services.values():
            if host := service.env.get("VIRTUAL_HOST"):
                port = service.env.get("VIRTUAL_PORT") or ""
                yield ProxyRoute(service.name, int(port) if port.isdigit() else None, _hosts(host.split(",")),
                            str(service.env.get("VIRTUAL_PATH") or "").rstrip("/"), bool(service.env.get("LETSENCRYPT_HOST")))
    for proxy in proxies.values():
        for text in _files(proxy, around):
            yield from _of_file(text, services)


def _of_labels(service: Service) -> Iterator[ProxyRoute]:
    if str(service.labels.get("traefik.enable", "true")).lower() != "true":
        return
    port = next((value for name, value in service.labels.items() if name.endswith(".loadbalancer.server.port")), "")
    gates = {name.split(".")[3].lower() for name in service.labels
             if name.startswith("traefik.http.middlewares.") and _GATES.search(name)}
    for name, rule in service.labels.items():
        router = re.fullmatch(r"traefik\.http\.routers\.([^.]+)\.rule", name)
        if router is None:
            continue
        own = f"traefik.http.routers.{router[1]}."
        listed = str(service.labels.get(f"{own}middlewares", "")).split(",")
        used = [one.strip().partition("@")[0].lower() for one in listed if one]
        foreign = [one for one in used if not any(label.startswith(f"traefik.http.middlewares.{one}.") for label in
                                                  map(str.lower, service.labels))]
        hosts = _hosts(host for found in _HOST.findall(str(rule)) for host in _QUOTED.findall(found))
        path = next(iter(re.findall(r"Path(?:Prefix)?\([`'\"]([^`'\"]+)", str(rule))), "").rstrip("/")
        yield ProxyRoute(service.name, int(port) if str(port).isdigit() else None, hosts, path,
                    any(label.startswith(own) and _TLS_WORDS.search(label) for label in service.labels),
                    bool(gates & set(used)) or any("auth" in one or one not in {"compress"} for one in foreign)
                    or "ClientIP" in str(rule))


def _of_file(text: str, services: Mapping[str, Service]) -> Iterator[ProxyRoute]:
    plain = re.sub(r"(?m)#.*$", "", text)
    upstreams = {name: (server, port) for name, server, port in _UPSTREAM.findall(plain)}
    hosts = _hosts(host for found in re.findall(r"server_name\s+([^;]+);", plain) for host in found.split())
    gated = bool(_GATE_FILE.search(plain))
    for name, port in [*_PASS.findall(plain), *_CADDY.findall(plain)]:
        server, own = upstreams.get(name, (name, port))
        if server in services:
            yield ProxyRoute(server, int(own) if own else None, hosts, gated=gated)


def _hosts(names: Iterator[str] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in names if _NAME.fullmatch(name := one.strip().lower()) and name != "localhost"))


def name_the_proxy(part: Part) -> None:
    """Say that a proxy is left out, and what it did that is not done yet."""
    part.miss(GapCode.PROXY, "", f"{part.service.program} is left out: HAProxy routes to the live version")
    targets = {one["target"] for one in part.service.ports}
    if targets & {443, 8443}:
        part.miss(GapCode.TLS, "ports", "TLS does not end here yet: requests come over HTTP",
                  "let a proxy in front end TLS, and list it in trusted_proxies")
