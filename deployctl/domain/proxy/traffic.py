"""What HAProxy should carry, as data. The ledger writes it down, effects/haproxy_* make it true."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass, field

if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.domain.proxy.trust import ProxyTrust


@dataclass(frozen=True, slots=True)
class Backend:
    """One routed instance: a server line in HAProxy, named `<app>.<release>`."""

    app: AppName
    release: int
    version: Version
    server_id: int  # unique and positive: the release's id
    address: str
    port: int
    bridge: str | None  # interface to bind to; None where containers are reached by published ports
    preview: bool = False  # the newest proven running release of its version: header and cookie may name it
    held: bool = False  # then a cookie may not
    gateway: str | None = None  # the bridge's own address: it goes with the bridge, and nothing leaves without it

    @property
    def name(self) -> str:
        return f"{self.app}.{self.release}"


@dataclass(frozen=True, slots=True)
class TrafficTable:
    """Everything the proxy must know except who serves: that is in the route map."""

    listens: Mapping[AppName, tuple[str, int]] = field(default_factory=dict)
    hosts: Mapping[str, AppName] = field(default_factory=dict)
    backends: tuple[Backend, ...] = ()
    trust: Mapping[AppName, ProxyTrust] = field(default_factory=dict)  # of apps whose file says something about it
    actives: Mapping[AppName, int] = field(default_factory=dict)  # used only to rebuild a lost route map


class Precision(StrEnum):
    """How true the number of failed requests is."""

    EXACT = "exact"
    AT_MOST = "at_most"  # by HAProxy before 2.8: visitors who hung up before their answer are among them


@dataclass(frozen=True, slots=True)
class Recent:
    """How the requests of the last minute ended, by HAProxy's own clock: rates, so about as many."""

    answered: int = 0  # by the app, whatever the status
    failed: int = 0  # HAProxy answered 5xx itself


@dataclass(frozen=True, slots=True)
class Counters:
    """What HAProxy counted for one release since it was first asked: over reloads and restarts, in all workers."""

    requests: int = 0  # asked; those in flight among them
    in_flight: int = 0
    failed: int = 0  # HAProxy answered 5xx itself: there was no valid answer. One that broke off in its body counts as answered
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
    """Say what a reload has ended."""
    return (f"HAProxy's reload closed {connections} long connection{'s' * (connections != 1)} that an earlier worker had kept "
            "open through previous reloads")


@dataclass(frozen=True, slots=True)
class Point:
    """What HAProxy counted for one release in one span of time."""

    app: AppName
    release: int  # number
    at: int  # when the span ended: unix seconds, a multiple of 10
    seconds: int  # how long it was: 10, or 60 for what is older than some hours
    requests: int = 0
    answers_2xx: int = 0
    answers_3xx: int = 0
    answers_4xx: int = 0
    answers_5xx: int = 0
    failed: int = 0  # no valid answer
    response_ms: float | None = None  # mean; None when there were no requests


@dataclass(frozen=True, slots=True)
class StrayProxy:
    """A HAProxy that a home started from a place that is gone."""

    pid: int
    config: str


@dataclass(frozen=True, slots=True)
class Switched:
    """A confirmed switch. Milliseconds from the write of the map file to HAProxy's own word."""

    ms: float
    was: int | None
    now: int | None
