"""Before a container starts: the unmanaged networks that its release names may have been recreated since it ran."""

from __future__ import annotations

from deployctl.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle
    from deployctl.ports import Engine


def join_networks(engine: Engine, bundle: Bundle, container: str, *, name: str) -> None:
    """Connect the container to all of them. Raises NotFound for one that does not exist."""
    try:
        for network in bundle.networks:
            engine.ensure_connected(container, network)
    except NotFound as e:
        raise NotFound(f"{name} cannot be started: {e.message}", remedy=e.remedy, code="network_missing") from e
