"""A host network in memory: guard routes, pins, bridges, ports and listeners, all to be set by a test."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from deployctl.errors import Invalid, NotPermitted
from deployctl.ports import Neighbour


class FakeGuard:
    def __init__(self) -> None:
        self.permitted = True  # False: not root
        self.routes: set[str] = set()
        self.down: set[str] = set()  # bridges that vanished; all others are up
        self.interfaces: set[str] = set()  # foreign ones
        self.subnets: list[str] = []
        self.taken: set[tuple[str, int]] = set()
        self.elsewhere: set[str] = set()  # addresses not on this host
        self.believed: dict[tuple[str, str], Neighbour] = {}  # by bridge and address
        self.ports: dict[str, set[str]] = {}  # bridge → MACs with a fixed port
        self.listeners: dict[int, list[tuple[str, int]]] = {}

    def ensure(self, subnet: str) -> None:
        network = _parse(subnet)
        if network not in self.routes:
            self._require_permission()
            self.routes.add(network)

    def ensure_gone(self, subnet: str) -> None:
        network = _parse(subnet)
        if network in self.routes:
            self._require_permission()
            self.routes.remove(network)

    def guarded(self, subnets: Iterable[str]) -> set[str]:
        return {subnet for subnet in subnets if _parse(subnet) in self.routes}

    def may_pin(self) -> bool:
        return self.permitted

    def neighbours(self) -> dict[tuple[str, str], Neighbour]:
        return dict(self.believed)

    def pin(self, bridge: str, address: str, mac: str, *, pid: int = 0, gateway: str = "") -> None:
        self._require_permission()
        self.believed[bridge, address] = Neighbour(mac, pinned=True)
        if pid:
            self.ports.setdefault(bridge, set()).add(mac)

    def unpin(self, bridge: str, address: str) -> None:
        if (bridge, address) in self.believed:
            self._require_permission()
            del self.believed[bridge, address]

    def held(self, bridge: str) -> set[str]:
        return set(self.ports.get(bridge, ()))

    def pinned(self) -> set[str]:
        return {address for (_, address), believed in self.believed.items() if believed.pinned}

    def bridge_up(self, bridge: str) -> bool:
        return bridge not in self.down

    def has_interface(self, name: str) -> bool:
        return name in self.interfaces

    def routed_subnets(self) -> list[str]:
        return list(self.subnets)

    def port_taken(self, host: str, port: int) -> bool:
        everywhere = {("0.0.0.0", port), ("::", port)}  # noqa: S104 - compared, never bound
        return bool(self.taken & {(host, port), *everywhere})

    def has_address(self, host: str) -> bool:
        return host not in self.elsewhere

    def listening(self, pid: int) -> list[tuple[str, int]]:
        return list(self.listeners.get(pid, ()))

    def _require_permission(self) -> None:
        if not self.permitted:
            raise NotPermitted("guard routes require root")


def _parse(subnet: str) -> str:
    try:
        return str(IPv4Network(subnet))
    except ValueError as e:
        raise Invalid(f"{subnet!r} is not an IPv4 subnet: {e}") from e
