"""By which names the containers of a release find each other: those of their own release, and of no other.

Both ways are needed: Docker's DNS knows the links, also to a sibling that is created later; /etc/hosts answers while a
sibling or the engine is down, but only to programs that ask the C library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deployctl.domain.inputs.names import backing_of
from deployctl.execution.labels import backing_alias, network_alias

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def names_inside(release: Release, instance: Instance, placed: Iterable[Instance], s: Services) -> dict[str, Any]:
    """Return aliases, links and lines of /etc/hosts as ContainerSpec takes them; `placed` are the release's instances."""
    if backing_of(release.app) is not None:
        return {"aliases": (backing_alias(release.app),)}
    backing = [*_backing(release.app, s)]
    if release.is_plain and not backing:
        return {}
    found = {one.component: one.address for one in placed}
    asked = [one for one in release.components if not one.is_job]
    links = [(name, network_alias(release, one.name)) for one in asked for name in (one.name, *one.aliases)]
    hosts = [(name, found[one.name]) for one in asked if one.name in found and one.replicas is None
             for name in (one.name, *one.aliases)]
    return {"aliases": (network_alias(release, instance.component),),
            "links": (*links, *((name, alias) for name, alias, _ in backing)),
            "hosts": (*hosts, *((name, address) for name, _, address in backing))}


def _backing(app: AppName, s: Services) -> Iterator[tuple[str, str, str]]:
    """Yield each name of each backing component of the app, what the network calls it, and its address."""
    for row in s.ledger.backing(app):
        release = s.ledger.find_release(row.name, row.active) if row.active is not None else None
        address = s.ledger.find_address(row.name)
        if release is not None and address is not None:
            names = (release.components[0].name, *release.components[0].aliases)
            yield from ((name, backing_alias(row.name), address) for name in names)
