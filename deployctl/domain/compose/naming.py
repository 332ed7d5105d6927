"""Names of components for names of services, and by which further names siblings find them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deployctl.digest import sha256
from deployctl.domain.inputs.names import COMPONENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.compose.service import Service

_LONGEST = 32
_FITS = re.compile(COMPONENT.pattern)
_ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?")


def fitting(name: str, *, taken: Iterable[str] = (), spare: str = "service") -> str:
    """Return the name as apps and components may be called: my_db becomes my-db."""
    plain = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", name.lower())).strip("-")
    if not plain[:1].isalpha():
        plain = f"{spare}-{plain}".strip("-")
    if len(plain) < 2:
        plain = f"{plain}-{spare}"
    if len(plain) > _LONGEST:
        plain = f"{plain[:25].rstrip('-')}-{sha256(name.encode()).hexdigest()[:6]}"
    made, number = plain, 1
    while made in set(taken):
        number += 1
        made = f"{plain[:29].rstrip('-')}-{number}"
    return made


def component_names(services: Iterable[str]) -> dict[str, str]:
    """Return the component for each service; those whose name fits keep it."""
    names = list(services)
    found = {name: name for name in names if _FITS.fullmatch(name)}
    for name in names:
        if name not in found:
            found[name] = fitting(name, taken=found.values())
    return {name: found[name] for name in names}


def further_names(service: Service, component: str, services: Mapping[str, Service]) -> list[str]:
    """Return the names beside the component's by which its siblings may look for it."""
    networks = (service.raw.get("networks") or {}).values()
    told = [service.name, *(alias for one in networks for alias in (one or {}).get("aliases", ()))]
    for key in ("container_name", "hostname"):
        name = service.raw.get(key)
        if isinstance(name, str) and _is_asked(name, service, services):
            told.append(name)
    for other in services.values():
        told += [alias for link in other.raw.get("links") or () if (parts := str(link).partition(":"))[0] == service.name
                 for alias in [parts[2]] if alias]
    found = [name.lower() for name in told if _ALIAS.fullmatch(name.lower())]
    return [name for name in dict.fromkeys(found) if name != component and name not in services.keys() - {service.name}]


def _is_asked(name: str, service: Service, services: Mapping[str, Service]) -> bool:
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    return any(word.search(text) for other in services.values() if other is not service for text in other.texts())
