"""Which of a service's ports clients reach over HTTP, and which port of it its siblings ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.compose.gaps import GapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.service import Part, Service, Surroundings

# Ports that are spoken to in another language than HTTP, as IANA and the programs' makers have them.
_NOT_HTTP = frozenset({20, 21, 22, 23, 25, 53, 110, 143, 389, 465, 514, 587, 636, 853, 993, 995, 1433, 1521, 1883, 2049, 2181,
                       2222, 3306, 3478, 4222, 5044, 5222, 5349, 5432, 5671, 5672, 6222, 6379, 7687, 8883, 9042, 9092, 9300,
                       10051, 11211, 25565, 27017, 33060})
_TLS = frozenset({443, 8443, 9443})
_USUAL = (80, 8080, 3000, 8000, 5000, 9000, 8888)


@dataclass(frozen=True, slots=True)
class Published:
    """One HTTP port that the project publishes."""

    part: Part
    port: int  # inside the container
    listen: str | None  # host:port; None: Compose would choose a free one
    name: str  # as the project calls it; empty if it does not


def published(part: Part) -> Iterator[Published]:
    """Yield the HTTP ports that a service publishes; the others become gaps."""
    http = [one for one in part.service.ports if _kind(one, part) == "http"]
    for one in part.service.ports:
        if one not in http:
            _not_http(part, one, reached=bool(http) or part.is_backing)
    yield from (Published(part, one["target"], _listen(one), str(one.get("name", ""))) for one in http)


def _kind(port: Mapping[str, Any], part: Part) -> str:
    if port.get("protocol", "tcp") != "tcp":
        return "udp"
    told = str(port.get("app_protocol", "")).lower()
    if told in {"http", "ws", "h2c"}:
        return "http"
    if told or part.is_backing or port["target"] in _NOT_HTTP:
        return "tcp"
    if port["target"] in _TLS:
        return "tls"
    both = any(one["target"] == port["target"] and one.get("protocol") == "udp" for one in part.service.ports)
    return "tcp" if both else "http"


def _listen(port: Mapping[str, Any]) -> str | None:
    number = str(port.get("published") or "")
    if not number.isdigit() or number == "0":
        return None
    host = port.get("host_ip") or "127.0.0.1"
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _not_http(part: Part, port: Mapping[str, Any], *, reached: bool) -> None:
    kind, target = _kind(port, part), port["target"]
    where = f"{port.get('host_ip') or '*'}:{port.get('published') or 'a free port'}"
    if kind == "udp":
        part.miss(GapCode.PORT_UDP, "ports", f"UDP port {target}, published as {where}, is not forwarded: only HTTP is so far",
                  blocks=not reached)
    elif kind == "tls":
        part.miss(GapCode.TLS, "ports", f"port {target}, published as {where}, is TLS that ends in the container; only HTTP is "
                  "forwarded so far", "publish its HTTP port, and let a proxy in front end TLS", blocks=not reached)
    else:
        why = f"TCP port {target}, published as {where}, is not forwarded: only HTTP is so far"
        if part.is_backing:
            why += f". The app's components reach it as {part.name}:{target}"
        part.miss(GapCode.PORT_TCP, "ports", why, blocks=not reached)


# -- which port its siblings ask -------------------------------------------------------------------------------------
def inner_port(part: Part, services: Mapping[str, Service], around: Surroundings) -> int | None:
    """Return the port on which it answers: published, exposed, as its siblings ask for it, or as its image declares. What an
    image declares is about its own program: a worker that runs another one from the same image answers nowhere."""
    service = part.service
    own = [one["target"] for one in service.ports if one.get("protocol", "tcp") == "tcp"]
    exposed = [int(str(one).partition("/")[0]) for one in service.raw.get("expose") or ()
               if str(one).partition("/")[0].isdigit() and not str(one).endswith("/udp")]
    asked = list(_asked(service, services))
    own_program = not service.raw.get("entrypoint") and (part.is_backing or not service.raw.get("command"))
    image = around.image_of(service) if own_program else None
    for found in (own, exposed, asked, list(image.ports) if image else []):
        if found:
            return _best(found)
    return None


def _best(found: list[int]) -> int:
    return next((port for port in _USUAL if port in found), found[0])


def _asked(service: Service, services: Mapping[str, Service]) -> Iterator[int]:
    names = "|".join(re.escape(name) for name in (service.name, str(service.raw.get("container_name") or service.name)))
    word = re.compile(rf"(?<![\w.-])(?:{names}):([1-9][0-9]{{1,4}})(?![0-9])")
    for other in services.values():
        texts = other.texts() if other is not service else map(str, service.labels.values())
        yield from (int(found) for text in texts for found in word.findall(text))
