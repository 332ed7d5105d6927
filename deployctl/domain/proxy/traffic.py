"""What HAProxy should route, as data. The ledger records it, effects/haproxy applies it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.domain.proxy.trust import ProxyTrust


MOST_REPLICAS = 99
_OF_A_PORT = 10**9  # ids of servers for further ports begin here: in `apps` no release has one as high


def part_name(component: str, port: int, replica: int = 0) -> str:
    """Return what follows the release in a server's name, where it is not the only one."""
    return f"{component}.{port}" + (f".{replica}" if replica else "")


def replica_server_id(release_id: int, replica: int) -> int:
    """Return the id of a replica's server: unique among all pools, because one that is ending may still be in its pool when
    another release leases that."""
    return release_id * (MOST_REPLICAS + 1) + replica


def release_of_server(server_id: int) -> int:
    """Return the id of the release that a replica's server is of."""
    return server_id // (MOST_REPLICAS + 1)


def port_server_id(release_id: int, place: int) -> int:
    """Return the id of the server of a release's further port, which is the one in that place."""
    return _OF_A_PORT + release_id * (MOST_REPLICAS + 1) + place


@dataclass(frozen=True, slots=True)
class Backend:
    """One routed instance: a server line in HAProxy, named `<app>.<release>`; one for a further port, or one of several
    replicas, has component, port and replica behind that."""

    app: AppName
    release: int
    version: Version
    server_id: int  # unique and positive
    address: str
    port: int
    bridge: str | None  # interface to bind to; None if containers are reached through published ports
    preview: bool = False  # the newest health-checked running release of its version: header and cookie may select it
    held: bool = False  # then a cookie may not
    gateway: str | None = None  # the bridge's own address: it disappears with the bridge, and nothing is sent without it
    part: str = ""  # COMPONENT.PORT, where that has to be said
    replica: int = 0  # of a component with replicas, whose servers have a pool of their own; 0: it has none
    main: bool = True  # what the app's own address leads to
    ports: tuple[str, ...] = ()  # the app's further ports that lead to it

    @property
    def of(self) -> str:
        """Return the name of its release, by which requests are counted."""
        return f"{self.app}.{self.release}"

    @property
    def way(self) -> str:
        """Return the name of what requests are for: the release, or a component's port of it."""
        return self.of if self.main else f"{self.of}.{self.part}"

    @property
    def name(self) -> str:
        return ".".join(filter(None, [self.of, self.part, str(self.replica or "")]))


@dataclass(frozen=True, slots=True)
class TrafficTable:
    """Everything the proxy must know except which release is live: that is in the route map."""

    listens: Mapping[AppName, tuple[str, int]] = field(default_factory=dict)
    hosts: Mapping[str, AppName] = field(default_factory=dict)
    backends: tuple[Backend, ...] = ()
    trust: Mapping[AppName, ProxyTrust] = field(default_factory=dict)  # of apps whose file sets it
    actives: Mapping[AppName, int] = field(default_factory=dict)  # used only to rebuild a lost route map
    ports: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # where further ports listen, by APP.PORT
    replicated: int = 0  # kept releases that may have several replicas: HAProxy has pools for at least as many
    leases: Mapping[str, str] = field(default_factory=dict)  # way → pool; chosen from what HAProxy has, never recorded
    queues: frozenset[AppName] = frozenset()  # apps whose requests may have to wait: an exclusive component is handed over


class Precision(StrEnum):
    """How exact the number of failed requests is."""

    EXACT = "exact"
    AT_MOST = "at_most"  # from HAProxy before 2.8: includes clients that disconnected before their response


@dataclass(frozen=True, slots=True)
class Recent:
    """How the requests of the last minute ended, by HAProxy's own clock: rates, so approximate."""

    answered: int = 0  # by the app, whatever the status
    failed: int = 0  # HAProxy answered 5xx itself


@dataclass(frozen=True, slots=True)
class Counters:
    """What HAProxy counted for one release since it was first routed to: across reloads and restarts, in all
    workers."""

    requests: int = 0  # received, including those in flight
    in_flight: int = 0
    failed: int = 0  # HAProxy answered 5xx itself: no valid response. One that broke off in its body counts as answered
    answers_5xx: int = 0  # the app's own
    response_ms: float = 0.0  # mean of the last 1,024
    answers_2xx: int = 0
    answers_3xx: int = 0
    answers_4xx: int = 0
    answered: int = 0  # by the app, whatever the status: upgraded connections have none of these classes
    closed: int = 0  # connections that HAProxy closed with a worker that had outlived too many reloads
    precision: Precision = Precision.EXACT  # of `failed`
    recent: Recent = Recent()


def closed_text(connections: int) -> str:
    """Return what a reload ended."""
    return (f"HAProxy's reload closed {connections} long connection{'s' * (connections != 1)} that an earlier worker had kept "
            "open through previous reloads")


@dataclass(frozen=True, slots=True)
class Point:
    """What HAProxy counted for one release in one interval."""

    app: AppName
    release: int  # number
    at: int  # when the interval ended: unix seconds, a multiple of 10
    seconds: int  # its length: 10, or 60 for samples older than some hours
    requests: int = 0
    answers_2xx: int = 0
    answers_3xx: int = 0
    answers_4xx: int = 0
    answers_5xx: int = 0
    failed: int = 0  # no valid response
    response_ms: float | None = None  # mean; None when there were no requests


@dataclass(frozen=True, slots=True)
class StrayProxy:
    """A HAProxy that a home started from a path that no longer exists."""

    pid: int
    config: str


@dataclass(frozen=True, slots=True)
class Switched:
    """A confirmed switch. Milliseconds from writing the map file to HAProxy's confirmation."""

    ms: float
    was: int | None
    now: int | None
