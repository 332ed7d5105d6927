"""HAProxy and the host's routes in our terms: what is live, what is counted, and whose addresses are guarded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from enum import StrEnum
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


class QueueLack(StrEnum):
    """Why HAProxy cannot let requests wait: clients of the app then get 503 meanwhile."""

    NO_LUA = "queue_no_lua"  # HAProxy was built without Lua


class Traffic(Protocol):
    """HAProxy of this home. Each call takes the home's proxy lock. Errors: ProxyUnavailable, SwitchRefused."""

    def ensure_up(self) -> bool:
        """Start HAProxy from its files if it is dead, adopt it if it is running. True if it was started."""
    def sync(self) -> int:
        """Apply the ledger's table to HAProxy and its files; never changes which release is live. Starts a dead
        HAProxy. Reloads (without losing a request) only if listen addresses differ, once for all of them. Returns how
        many connections that closed: a reload ends the worker that had kept them through the three before."""
    def refresh_previews(self) -> None:
        """Let header and cookie select what the ledger's table allows now; nothing else is touched."""
    def routes(self) -> dict[AppName, int]:
        """Return the live release of each app, as HAProxy reports it."""
    def switch(self, app: AppName, to: int | None, *, sure: Callable[[], object] = bool) -> Switched:
        """Switch the app's traffic to that release (None: to none, 503): file first, then one `set map`, then read
        back.

        `sure` is called once the proxy lock is held; if it raises, nothing is changed. Raises SwitchRefused with the
        former route restored if HAProxy does not confirm.
        """
    def ask(self, app: AppName, release: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        """Probe that release, or that replica of it (COMPONENT.PORT.NUMBER), once by HTTP, by the route that clients take,
        whichever is live; no client can do the same. Holds no lock, ends within probe.timeout. Starts a dead HAProxy."""
    def queue_lack(self) -> QueueLack | None:
        """Return why requests cannot be queued; None: they can."""
    def queue(self, app: AppName, *, seconds: float) -> None:
        """Let the app's requests wait from now on, each until `release_queue`, and none longer than so many seconds from
        now: what waits then gets 503 with Retry-After, and what comes later is served as if there were no queue. Again:
        the time begins again. The app has to be in the table's `queues`. Raises SwitchRefused if HAProxy does not
        confirm."""
    def release_queue(self, app: AppName, *, unless: Callable[[], bool] = bool) -> None:
        """Let what waits be served by the live release, in all workers. None waiting is fine. `unless` is asked once the
        proxy lock is held: if it says so, they wait on."""
    def queues(self) -> dict[AppName, float]:
        """Return the apps whose requests wait now, with the seconds that are left."""
    def refusals(self) -> list[Rejection]:
        """Return HAProxy's own recent responses, oldest first; includes those before a reload."""
    def counters(self) -> dict[tuple[AppName, int], Counters]:
        """Return the counts of each release that is routed to or ever was, since it was first: across reloads, restarts
        and crashes. Only what HAProxy counted just before it died is lost."""
    def in_flight(self, app: AppName, release: int, *, replica: str = "") -> int:
        """Count open requests and connections of a release, or of that replica, including in workers that finish after a
        reload."""
    def cut(self, app: AppName, release: int, *, replica: str = "") -> None:
        """Close what is still open to a release, or to that replica."""
    def drift(self) -> list[str]:
        """Return manual changes to the files or to HAProxy, one sentence each."""
    def dropped_fronts(self) -> dict[AppName, DroppedFront]:
        """Return the apps with an untrusted proxy on this machine in front: its forwarded headers are dropped. What was
        seen is known since the last reload; empty if unknown."""
    def notes(self) -> list[FlipNote]:
        """Return the emergency switches that no command has recorded in the ledger yet, earliest first."""
    def forget_notes(self, taken: Sequence[FlipNote]) -> None: ...
    def frailties(self) -> tuple[Frail, ...]:
        """Return what may end HAProxy although nobody asked for that; nothing if it is not running."""
    def pid(self) -> int | None:
        """Return the master's pid, None if HAProxy is not running."""
    def strays(self) -> list[StrayProxy]:
        """Return every HAProxy that deployctl started on this machine whose files are gone, except this home's own."""
    def stop(self) -> None:
        """Stop HAProxy. Only for `demo --stop` and for a home that is being removed."""


class Guard(Protocol):
    """Routes that keep our subnets from ever leading to another host, and pins that keep an address from meaning
    another container."""

    def ensure(self, subnet: str) -> None: ...
    def ensure_gone(self, subnet: str) -> None: ...
    def guarded(self, subnets: Iterable[str]) -> Set[str]:
        """Return those that have a guard route, from one reading of the host's routes."""
    def may_pin(self) -> bool:
        """Return whether this process may pin addresses at all."""
    def neighbours(self) -> Mapping[tuple[str, str], Neighbour]:
        """Return this host's neighbour entries, by bridge and address; also if they may not be changed."""
    def pin(self, bridge: str, address: str, mac: str, *, pid: int = 0, gateway: str = "") -> None:
        """Send what is for that address to that MAC and, with the `pid` of a container's process, that MAC to its port
        of the bridge, and make that container send what is for the gateway, which is this host, to this host: whatever
        else claims any of these. Raises NotPermitted, or DeployctlError if there is no such bridge or port."""
    def unpin(self, bridge: str, address: str) -> None:
        """Delete the entry, pinned or not, so that the address is resolved again. Absent is fine. The port is free once
        its container is gone."""
    def held(self, bridge: str) -> Set[str]:
        """Return the MACs whose port of that bridge nothing else can take."""
    def bridge_up(self, bridge: str) -> bool: ...
    def has_interface(self, name: str) -> bool: ...
    def routed_subnets(self) -> list[str]:
        """Return every subnet that this host routes to an interface (not the unreachable ones, not the default)."""
    def port_taken(self, host: str, port: int) -> bool:
        """Return whether something listens there."""
    def has_address(self, host: str) -> bool:
        """Return whether something on this host may listen at that IP address, including addresses that mean all."""
    def listening(self, pid: int) -> list[tuple[str, int]]:
        """Return (address, port) of TCP listeners in that process's network namespace; empty if it may not be read."""
