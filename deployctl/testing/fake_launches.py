"""Containers of a fake engine that move between networks, and that the launcher starts: they wait for their address, then
for their lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployctl.dataclass import replace
from deployctl.domain.host.networks import mac_of
from deployctl.errors import NotPermitted, PlaceTaken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import ContainerSpec, Endpoint
    from deployctl.testing.fake_hands import FakeContainer
    from deployctl.testing.fake_networks import FakeNetworks


class FakeLaunches:
    _containers: dict[str, FakeContainer]
    networks_here: FakeNetworks

    # -- places in networks ------------------------------------------------------------------------------------------
    def _attach(self, found: FakeContainer, endpoint: Endpoint) -> None:
        spec, facts = spec_of(found), found.facts
        if endpoint.network not in self.networks_here.facts:
            raise PlaceTaken(f"attach {facts.name}: network {endpoint.network} not found")
        if facts.running and self._has_owner(endpoint.network, endpoint.address, but=found):
            raise PlaceTaken(f"attach {facts.name}: the address for this container is used by another one")
        found.spec = replace(spec, network=endpoint.network, address=endpoint.address, aliases=endpoint.aliases,
                             links=endpoint.links)
        found.facts = replace(facts, asked={endpoint.network: endpoint.address},
                              networks=tuple(sorted({*facts.networks, endpoint.network})))
        if facts.running:
            found.facts = replace(found.facts, addresses=addresses_of(found, found.spec), macs=macs_of(found, found.spec))
        self._launch()

    def _detach(self, found: FakeContainer, network: str) -> None:
        facts = found.facts
        found.facts = replace(
            facts, networks=tuple(one for one in facts.networks if one != network), asked=_without(facts.asked, network),
            addresses=_without(facts.addresses, network), macs=_without(facts.macs, network))

    def _has_owner(self, network: str, address: str, *, but: FakeContainer) -> bool:
        return any(c.spec and c.facts.running and (c.spec.network, c.spec.address) == (network, address)
                   and network in c.facts.networks for c in [*self._containers.values()] if c is not but)

    # -- the launcher ------------------------------------------------------------------------------------------------
    def is_waiting(self, container: str) -> bool:
        """Return whether the launcher still waits in it: it runs, and its program does not."""
        return any(one.waiting for one in self._containers.values() if container in {one.facts.id, one.facts.name})

    def holders(self, lock: str) -> tuple[int, ...]:
        """Return the main process of the container that holds the lock."""
        return tuple(one.facts.pid for one in self._holders(lock))

    def _holders(self, lock: str) -> Iterator[FakeContainer]:
        for one in self._containers.values():
            alive = one.facts.running or one.facts.status == "paused"
            launch = one.spec.launch if one.spec else None
            if alive and launch and launch.lock == lock and not one.waiting and not one.lock_lost:
                yield one

    def _launch(self) -> None:
        """Let each waiting container begin that may, in the order of their starts."""
        waiting = [one for one in self._containers.values() if one.waiting and one.facts.running]
        for one in sorted(waiting, key=lambda one: one.facts.pid):
            if one.waiting and self._may_begin(one):
                one.waiting = False
                self._begin_program(one)

    def _may_begin(self, one: FakeContainer) -> bool:
        launch = one.spec.launch if one.spec else None
        if launch is None:
            return True
        there = launch.address is None or launch.address in one.facts.addresses.values()
        return there and (launch.lock is None or not any(self._holders(launch.lock)))

    def _begin_program(self, found: FakeContainer) -> None:
        raise NotImplementedError


def spec_of(container: FakeContainer) -> ContainerSpec:
    if container.spec is None:
        raise NotPermitted(f"container {container.facts.name} is not ours")
    return container.spec


def addresses_of(found: FakeContainer, spec: ContainerSpec) -> dict[str, str]:
    """Return its own address where it is attached, and some address in each unmanaged network that it joined."""
    own = {spec.network: spec.address} if spec.network in found.facts.networks else {}
    return own | {name: "10.9.0.9" for name in found.facts.networks if name != spec.network}


def macs_of(found: FakeContainer, spec: ContainerSpec) -> dict[str, str]:
    return {spec.network: mac_of(spec.address)} if spec.network in found.facts.networks else {}


def _without(told: Mapping[str, str], network: str) -> dict[str, str]:
    return {name: value for name, value in told.items() if name != network}
