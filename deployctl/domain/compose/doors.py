"""How clients reach the app: which component they reach, by which address and names, and by which further ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.compose.naming import fitting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.compose.draft import Draft
    from deployctl.domain.compose.ports import Published
    from deployctl.domain.compose.proxies import ProxyRoute
    from deployctl.domain.compose.service import Part, Service

_FRONTS = ("web", "app", "frontend", "nginx", "proxy", "gateway", "server", "backend")
_TOOLS = ("adminer", "phpmyadmin", "pgadmin", "mailhog", "mailpit", "mailcatcher", "flower", "exporter", "grafana",
          "prometheus", "portainer", "dozzle", "redis-commander", "mongo-express", "jaeger", "redisinsight", "swagger-ui")
_USUAL = frozenset({"80", "443", "8080"})
_GUESS = 80  # where nothing says on which port it answers


def find_main(doors: Sequence[Published], found: Sequence[ProxyRoute], kept: Mapping[str, Part]) -> Part | None:
    """Return what clients reach: what a proxy leads to, else what publishes an HTTP port. What only some may reach is none of
    them."""
    routed = [kept[one.service] for one in found if not one.path and not one.gated]
    reached = routed or [one.part for one in doors]
    candidates = [one for one in reached if not one.is_backing and not one.is_job]
    return min(candidates, key=lambda part: (*_rank(part, doors), candidates.index(part))) if candidates else None


def _rank(part: Part, doors: Sequence[Published]) -> tuple[bool, ...]:
    tool = any(word in part.service.program or word in part.service.name for word in _TOOLS)
    usual = any(one.listen and one.listen.rpartition(":")[2] in _USUAL for one in doors if one.part is part)
    named = part.service.name == part.service.project or any(word in part.service.name for word in _FRONTS)
    return tool, not usual, not named


def open_doors(draft: Draft, doors: Sequence[Published], found: Sequence[ProxyRoute], proxies: Mapping[str, Service],
               kept: Mapping[str, Part]) -> None:
    """Set the draft's listen, hosts and further ports."""
    main = draft.main
    for route in found:
        _follow(route, kept[route.service], draft)
    if main is None:
        return
    own = [one for one in doors if one.part is main]
    door = next((one for one in own if one.listen), own[0] if own else None)
    if door is not None:
        main.port, draft.listen = door.port if main.port is None or not draft.hosts else main.port, door.listen
    if door is not None and door.listen is None:
        main.miss(GapCode.PORT_RANDOM, "ports", f"port {door.port} is published on whichever port is free",
                  "write listen = 8000", blocks=True)
    if main.port is None:
        main.port = _GUESS
        main.miss(GapCode.PORT_UNKNOWN, "ports", f"nothing says on which port it answers; {_GUESS} is a guess",
                  f"docker pull {main.service.reference}   # its image may say it; then import again", "or write port = …",
                  blocks=True)
    if draft.listen is None and not draft.hosts:
        draft.listen = _listen_of(proxies)
    _further(draft, [one for one in doors if one is not door])


def _further(draft: Draft, doors: Sequence[Published]) -> None:
    taken = {draft.listen}
    for one in doors:
        if one.listen and one.listen not in taken:
            taken.add(one.listen)
            usual = one.part.name if one.part is not draft.main else f"port-{one.port}"
            name = fitting(one.name or usual, taken=draft.ports)
            draft.ports[name] = {"component": one.part.name, "port": one.port, "listen": one.listen}


def _listen_of(proxies: Mapping[str, Service]) -> str | None:
    """Return where the proxies that are left out took requests."""
    for proxy in proxies.values():
        for one in proxy.ports:
            if one["target"] in {80, 8080} and str(one.get("published", "")).isdigit():
                return f"{one.get('host_ip') or '127.0.0.1'}:{one['published']}"
    return None


def _follow(route: ProxyRoute, part: Part, draft: Draft) -> None:
    """Take one route of a proxy over, or say why not. One that not everybody may take is never opened."""
    where = " ".join([*route.hosts, route.path]).strip() or "all requests"
    if route.gated:
        part.miss(GapCode.GATED_ROUTE, "labels", f"the proxy lets only some pass to {where}. That is not possible here yet, "
                  "and it is not opened to everybody", "put a proxy that asks in front of a listen of its own", blocks=True)
    elif route.path:
        part.miss(GapCode.ROUTE, "labels", f"the proxy leads {where} here, and there are no routes by path yet", blocks=True)
    elif part is draft.main:
        part.port = route.port or part.port
        draft.hosts = tuple(dict.fromkeys([*draft.hosts, *route.hosts]))
    elif route.hosts:
        front = draft.main.name if draft.main else "one component"
        part.miss(GapCode.ROUTE, "labels", f"the proxy leads {where} here, and only {front} has host names so far",
                  f"give it an address of its own: [ports.{part.name}]", blocks=True)
    if route.tls:
        part.miss(GapCode.TLS, "labels", f"TLS for {where} does not end here yet: requests come over HTTP",
                  "let a proxy in front end TLS, and list it in trusted_proxies")
