"""What remains of a home when its ledger is lost: HAProxy's files, labelled networks, labelled containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from deployctl.dataclass import dataclass, field
from deployctl.domain.images.release import App
from deployctl.domain.proxy.trust import ProxyTrust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import Component, InstanceId
    from deployctl.domain.inputs.names import AppName, ComponentName, Version


@dataclass(frozen=True, slots=True)
class Remains:
    """What HAProxy's files contain. Numbers are release numbers."""

    routes: Mapping[AppName, int] = field(default_factory=dict)  # the live release
    servers: Mapping[tuple[AppName, int], int] = field(default_factory=dict)  # those routed to, with HAProxy's id of each
    listens: Mapping[AppName, tuple[str, int]] = field(default_factory=dict)
    hosts: Mapping[str, AppName] = field(default_factory=dict)
    held: frozenset[tuple[AppName, int]] = frozenset()
    trust: Mapping[AppName, ProxyTrust] = field(default_factory=dict)
    ports: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # where further ports listen, by APP.PORT


@dataclass(frozen=True, slots=True)
class Ground:
    """An app's networks, the original one first. A backing component stands in one of its app's."""

    app: AppName
    networks: tuple[AppNetwork, ...]
    address: str | None = None  # of a backing component, for life

    def find(self, names: Collection[str]) -> AppNetwork | None:
        """Return the one of those names that is the app's."""
        return next((network for network in self.networks if network.name in names), None)

    def rebuilt(self, remains: Remains) -> App:
        """Return the app as far as its networks and HAProxy's files describe it: new containers go to the last
        network."""
        hosts = tuple(sorted(host for host, app in remains.hosts.items() if app == self.app))
        own = self.networks[-1]
        return App(self.app, own.subnet, own.gateway, own.name, own.bridge, listen=remains.listens.get(self.app), hosts=hosts,
                   engines_own=own.engines_own, trust=remains.trust.get(self.app, ProxyTrust()),
                   ports=tuple(sorted((name.partition(".")[2], listen) for name, listen in remains.ports.items()
                                      if name.partition(".")[0] == self.app)))


@dataclass(frozen=True, slots=True)
class Relic:
    """A container, with all that its labels and the engine reveal of its release."""

    app: AppName
    instance: InstanceId
    version: Version
    components: tuple[Component, ...]  # of the release: at first what this container alone reveals
    name: str
    container: str | None  # full id; None: the container with its name was created from another image
    network: str
    address: str
    port: int | None  # None: it publishes none
    operation: int  # deployment that created it
    cap_drop: tuple[str, ...] = ()
    place: int = 0  # of its component in the release, the one that clients reach first
    count: int = 1  # components of the release
    scale: tuple[tuple[ComponentName, int], ...] = ()  # of which there are another number than the release's file had

    @property
    def number(self) -> int:
        return self.instance.release


@dataclass(frozen=True, slots=True)
class AppBack:
    """One app that was rebuilt."""

    app: AppName
    serving: Version | None
    revision: int
    releases: int
    instances: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was recovered, and in `lost` one sentence for each thing that was not."""

    apps: tuple[AppBack, ...]
    lost: tuple[str, ...]
