"""Networks of a fake engine. `facts` may be filled with foreign ones."""

from __future__ import annotations

from collections.abc import Set
from ipaddress import ip_network

from deployctl.domain.host.home import HomeIdentity
from deployctl.errors import EngineRefused, NetworkTaken, NotFound, NotPermitted
from deployctl.ports import NetworkFacts, NetworkSpec


class FakeNetworks:
    def __init__(self) -> None:
        self.facts: dict[str, NetworkFacts] = {}

    def ensure(self, spec: NetworkSpec, *, home: HomeIdentity) -> None:
        there = self.facts.get(spec.name)
        if there is None:
            self._require_free(spec)
            labels = {**spec.labels, "deployctl.managed": "1", **home.labels}
            self.facts[spec.name] = NetworkFacts(spec.name, (spec.subnet,), labels, spec.bridge, engines_own=spec.engines_own)
        elif not home.owns(there.labels):
            raise NetworkTaken(f"a network {spec.name} already exists and is not ours")
        elif (there.subnets, there.bridge) != ((spec.subnet,), spec.bridge):
            raise NetworkTaken(f"network {spec.name} has {there.subnets}, not {spec.subnet}")

    def ensure_gone(self, name: str, *, home: HomeIdentity, used: Set[str]) -> None:
        there = self.facts.get(name)
        if there is None:
            return
        if not home.owns(there.labels):
            raise NotPermitted(f"network {name} is not ours")
        if name in used:
            raise EngineRefused(f"remove network {name}: it has active endpoints")
        del self.facts[name]

    def require_joinable(self, name: str) -> None:
        if name not in self.facts:
            raise NotFound(f"the network {name} is not on this server", remedy=[f"docker network create {name}"])
        if self.facts[name].labels.get("deployctl.managed"):
            raise NotPermitted(f"the network {name} belongs to an app of deployctl and cannot be joined")

    def _require_free(self, spec: NetworkSpec) -> None:
        if any(network.bridge == spec.bridge for network in self.facts.values()):
            raise NetworkTaken(f"create network {spec.name}: another Docker network already has this bridge")
        taken = (ip_network(subnet) for network in self.facts.values() for subnet in network.subnets)
        if any(ip_network(spec.subnet).overlaps(other) for other in taken):
            raise NetworkTaken(f"create network {spec.name}: another Docker network already has this subnet")
