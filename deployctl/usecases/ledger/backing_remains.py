"""What remains of backing components: HAProxy knows nothing of them, and their versions have one address in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployctl.domain.host.leftovers import Ground
from deployctl.domain.inputs.names import AppName, backing_of, owner_of
from deployctl.execution.labels import instance_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.ports import ContainerFacts


def grounds_of_backing(grounds: Mapping[AppName, Ground], containers: Iterable[ContainerFacts]) -> dict[AppName, Ground]:
    """Return the ground of each backing component that has a container: the network of its app that it has its address in,
    and that address. One whose containers are in none has no ground."""
    found: dict[AppName, Ground] = {}
    for one in containers:
        app = AppName(one.labels.get("deployctl.app", ""))
        around = grounds.get(owner_of(app))
        if backing_of(app) is None or around is None or app in found:
            continue
        if (place := place_of(one, around)) is not None:
            network, address = place
            found[app] = Ground(app, (network,), address)
    return found


def place_of(one: ContainerFacts, ground: Ground) -> tuple[AppNetwork, str] | None:
    """Return network and address of that container; of a backing component's that has none at the moment the one for life."""
    network = ground.find({*one.asked, *one.addresses})
    address = network and (one.asked.get(network.name) or one.addresses.get(network.name))
    if network is not None and address:
        return network, address
    return (ground.networks[0], ground.address) if ground.address else None


def live_backing(grounds: Mapping[AppName, Ground], containers: Iterable[ContainerFacts]) -> dict[AppName, int]:
    """Return the live release of each: its container runs and has the address. A successor that waits has none yet."""
    found = {}
    for one in containers:
        app, which = AppName(one.labels.get("deployctl.app", "")), instance_id(one.labels)
        ground = grounds.get(app)
        if ground and ground.address and which and one.running and ground.address in one.addresses.values():
            found[app] = which.release
    return found
