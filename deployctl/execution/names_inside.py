"""By which names the containers of a release find each other: those of their own release, and of no other.

Both ways are needed: Docker's DNS knows the links, also to a sibling that is created later; /etc/hosts answers while a
sibling or the engine is down, but only to programs that ask the C library.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.execution.labels import network_alias

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.release import Instance, Release


def names_inside(release: Release, instance: Instance, placed: Iterable[Instance]) -> dict[str, Any]:
    """Return aliases, links and lines of /etc/hosts as ContainerSpec takes them; `placed` are the release's instances."""
    if release.is_plain:
        return {}
    found = {one.component: one.address for one in placed}
    return {"aliases": (network_alias(release, instance.component),),
            "links": tuple((one.name, network_alias(release, one.name)) for one in release.components if not one.is_job),
            "hosts": tuple((one.name, found[one.name]) for one in release.components
                           if one.name in found and not one.is_job and one.replicas is None)}
