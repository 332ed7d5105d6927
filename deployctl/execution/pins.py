"""An address that HAProxy may send clients to means one container alone, whatever else on its network claims it.

The MAC is set at creation and derived from the address, so it stays the same across restarts; this host sends what is
for the address to that MAC and to the container's own port of the bridge, and the container sends what is for this host
to the bridge's MAC. A container whose MAC the engine chose is never pinned: it may return with another one while no
process of ours is running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from deployctl.domain.host.networks import mac_of
from deployctl.errors import DeployctlError, Interrupted, LeaseHeld
from deployctl.ports import Neighbour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Instance
    from deployctl.ports import ContainerFacts, Services

Believed = Mapping[tuple[str, str], Neighbour]  # the return value of Guard.neighbours


def has_own_mac(app: App, instance: Instance, seen: ContainerFacts) -> bool:
    """Return whether it runs with the MAC that was set at creation."""
    return seen.macs.get(app.network_of(instance).name) == mac_of(instance.address)


def settle(s: Services, app: App, instance: Instance, seen: ContainerFacts) -> None:
    """Pin the address to that container, or remove the pin if it has another MAC. Raises NotPermitted, or
    DeployctlError if its bridge is not on this host."""
    network = app.network_of(instance)
    if has_own_mac(app, instance, seen):
        s.guard.pin(network.bridge, instance.address, mac_of(instance.address), pid=seen.pid, gateway=network.gateway)
    else:
        s.guard.unpin(network.bridge, instance.address)


def try_to_settle(s: Services, app: App, instance: Instance, container: str) -> None:
    """Do it as far as possible: `doctor` and `reconcile` report what is not pinned, and no client waits for it."""
    seen = s.engine.find_container(container) if s.bridged else None
    if seen is not None:
        _try(lambda: settle(s, app, instance, seen))


def try_to_pin(s: Services, app: App, instance: Instance) -> None:
    """Pin one whose MAC is known to be its own, without querying the engine: some ten microseconds."""
    bridge = app.network_of(instance).bridge
    _try(lambda: s.guard.pin(bridge, instance.address, mac_of(instance.address)))


def try_to_unpin(s: Services, app: App, instance: Instance) -> None:
    if s.bridged:
        _try(lambda: s.guard.unpin(app.network_of(instance).bridge, instance.address))


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except (Interrupted, LeaseHeld):
        raise
    except DeployctlError:
        pass


def read_believed(s: Services) -> Believed | None:
    """Return this host's neighbour entries, None if this process may not pin anything. One reading serves for all
    apps."""
    return s.guard.neighbours() if s.bridged and s.guard.may_pin() else None


def find_astray(s: Services, app: App, instances: Mapping[InstanceId, Instance], seen: Iterable[ContainerFacts],
                believed: Believed | None) -> tuple[frozenset[InstanceId], frozenset[InstanceId]]:
    """Return the instances that HAProxy routes to whose address is not pinned, and those whose address is pinned to a
    MAC that is not theirs."""
    running = {c.id: c for c in seen if c.running}
    carried = [(one, i, c) for one, i in instances.items() if i.routed and (c := running.get(i.container or "")) and c.macs]
    if believed is None or not carried:
        return frozenset(), frozenset()
    held = {bridge: s.guard.held(bridge) for bridge in {app.network_of(i).bridge for _, i, _ in carried}}
    loose: set[InstanceId] = set()
    misled: set[InstanceId] = set()
    for one, instance, container in carried:
        bridge, mac = app.network_of(instance).bridge, mac_of(instance.address)
        known = believed.get((bridge, instance.address))
        pinned = known is not None and known.pinned
        if not has_own_mac(app, instance, container):
            misled |= {one} if pinned else set()
        elif known is None or (known.mac, pinned, mac in held[bridge]) != (mac, True, True):
            loose.add(one)
    return frozenset(loose), frozenset(misled)
