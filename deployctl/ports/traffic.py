"""HAProxy and the host's routes in our words: who serves, what is counted, and whose addresses are guarded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployctl.domain.images.release import Probe
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.emergency import FlipNote
    from deployctl.domain.proxy.endurance import Frail
    from deployctl.domain.proxy.gate import GateAnswer
    from deployctl.domain.proxy.rejections import Rejection
    from deployctl.domain.proxy.traffic import Counters, StrayProxy, Switched
    from deployctl.domain.proxy.trust import DroppedFront
    from deployctl.ports import Neighbour


class Traffic(Protocol):
    """HAProxy of this home. Each call takes the home's proxy lock. Errors: ProxyUnavailable, SwitchRefused."""

    def ensure_up(self) -> bool:
        """Start HAProxy from its files when it is dead, adopt it when it lives. True when it was started."""
    def sync(self) -> int:
        """Make HAProxy and its files carry the ledger's table; who serves is never changed. Starts a dead HAProxy.
        Reloads (without losing a request) only when listen addresses differ, once for all of them. Returns how many
        connections that closed: a reload ends the worker that has gone on for them through the three before."""
    def refresh_previews(self) -> None:
        """Let header and cookie reach what the ledger's table allows now; nothing else is touched."""
    def routes(self) -> dict[AppName, int]:
        """Return who serves each app, asked from HAProxy itself."""
    def switch(self, app: AppName, to: int | None, *, sure: Callable[[], object] = bool) -> Switched:
        """Send the app's traffic to that release (None: to nobody, 503): file first, then one `set map`, then read back.
        `sure` is called once the proxy lock is held; what it raises leaves everything as it is.
        Raises SwitchRefused with the former route back in place, when HAProxy does not confirm."""
    def ask(self, app: AppName, release: int, probe: Probe) -> GateAnswer:
        """Ask that release once by HTTP, the way that visitors come, whoever serves; no visitor can do the same. Holds no
        lock, ends within probe.timeout. Starts a dead HAProxy."""
    def refusals(self) -> list[Rejection]:
        """Return what HAProxy lately answered itself, the oldest first; what a reload ended is among it."""
    def counters(self) -> dict[tuple[AppName, int], Counters]:
        """Return what was counted of each release that is carried or was ever asked, since it was first asked: over
        reloads, restarts and crashes. Only what HAProxy counted just before it died is lost."""
    def in_flight(self, app: AppName, release: int) -> int:
        """Count open requests and connections of one server, in workers that finish after a reload too."""
    def cut(self, app: AppName, release: int) -> None:
        """Close what is still open to one server."""
    def drift(self) -> list[str]:
        """Name what a person changed in the files or in HAProxy, one sentence each."""
    def dropped_fronts(self) -> dict[AppName, DroppedFront]:
        """Return the apps that some proxy on this machine speaks for without being trusted: its forwarded headers are
        dropped. What was seen is known since the last reload; empty while nobody can tell."""
    def notes(self) -> list[FlipNote]:
        """Return the emergency flips that no command has taken into the ledger yet, the first one first."""
    def forget_notes(self, taken: Sequence[FlipNote]) -> None: ...
    def frailties(self) -> tuple[Frail, ...]:
        """Return what may end HAProxy although nobody asked for that; nothing when it is not running."""
    def pid(self) -> int | None:
        """Return the master's pid, None when HAProxy is not running."""
    def strays(self) -> list[StrayProxy]:
        """Return every HAProxy that deployctl started on this machine and whose files are gone, but this home's own."""
    def stop(self) -> None:
        """End HAProxy. Only for `demo --stop` and for a home that is being taken apart."""


class Guard(Protocol):
    """Routes that keep our subnets from ever meaning a stranger, and pins that keep an address from meaning a neighbour."""

    def ensure(self, subnet: str) -> None: ...
    def ensure_gone(self, subnet: str) -> None: ...
    def guarded(self, subnets: Iterable[str]) -> Set[str]:
        """Return those that have a guard route, by one reading of the host's routes."""
    def may_pin(self) -> bool:
        """Tell whether this process may pin addresses at all."""
    def neighbours(self) -> Mapping[tuple[str, str], Neighbour]:
        """Return what this host believes now, by bridge and address; also to who may change nothing."""
    def pin(self, bridge: str, address: str, mac: str, *, pid: int = 0, gateway: str = "") -> None:
        """Send what is for that address to that MAC and, with the `pid` of a container's process, that MAC to its port of
        the bridge, and let that container send what is for the gateway, which is this host, to this host: whoever else claims
        any of these. Raises NotPermitted, or DeployctlError when there is no such bridge or port."""
    def unpin(self, bridge: str, address: str) -> None:
        """Forget what is believed, pinned or not, and believe again who answers. Absent is fine. The port is free once its
        container is gone."""
    def held(self, bridge: str) -> Set[str]:
        """Return the MACs whose port of that bridge nobody else can take."""
    def bridge_up(self, bridge: str) -> bool: ...
    def has_interface(self, name: str) -> bool: ...
    def routed_subnets(self) -> list[str]:
        """Return every subnet that this host routes to an interface (not the unreachable ones, not the default)."""
    def port_taken(self, host: str, port: int) -> bool:
        """Tell whether somebody listens there."""
    def has_address(self, host: str) -> bool:
        """Tell whether something of this host may listen at that IP address, one for all included."""
    def listening(self, pid: int) -> list[tuple[str, int]]:
        """Return (address, port) of TCP listeners in that process's network namespace; empty if not allowed to look."""
