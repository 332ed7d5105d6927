"""The outside world in our terms: the facts it returns, and `Services`, which bundles it for use cases.

The promises are in protocols.py, access.py, metrics.py and traffic.py. Only type checkers need those: a starting
command does not create a hundred signatures that nobody calls. They can still be imported from here.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module

from deployctl.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from deployctl.domain.change.probes import AnswerCode
    from deployctl.domain.host.actor import Actor
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.images.healthcheck import HealthcheckTimes
    from deployctl.domain.images.release import Bundle, Resources, Restart
    from deployctl.domain.inputs.app_spec import AppFile
    from deployctl.domain.inputs.names import AppName
    from deployctl.errors import DeployctlError
    from deployctl.ports.exclusion import Exclusion as Exclusion
    from deployctl.ports.foreign import ForeignContainers, Imports
    from deployctl.ports.host_files import HostFiles
    from deployctl.ports.logs import KeptLogs as KeptLogs
    from deployctl.ports.logs import LogLine as LogLine
    from deployctl.ports.metrics import MetricsStore
    from deployctl.ports.protocols import Clock as Clock
    from deployctl.ports.protocols import Engine as Engine
    from deployctl.ports.protocols import Ledger as Ledger
    from deployctl.ports.protocols import Prober as Prober
    from deployctl.ports.protocols import Reporter as Reporter
    from deployctl.ports.secrets import Secrets as Secrets
    from deployctl.ports.traffic import Guard as Guard
    from deployctl.ports.traffic import Traffic as Traffic

ON_DEMAND = {"engine": ("EngineInfo", "Image", "Lack"),
             "exclusion": ("Exclusion",),
             "logs": ("KeptLogs", "LogLine"),
             "protocols": ("Clock", "Engine", "Ledger", "Prober", "Reporter"),
             "secrets": ("Secrets",),
             "traffic": ("Guard", "Traffic")}


def __getattr__(name: str) -> Any:
    for module, names in ON_DEMAND.items():
        if name in names:
            return getattr(import_module(f"deployctl.ports.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# -- the engine -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NetworkSpec:
    name: str
    bridge: str
    subnet: str
    gateway: str
    labels: Mapping[str, str]
    engines_own: str | None = None  # part of the subnet from which the engine picks by itself; None: all of it


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    name: str
    subnets: tuple[str, ...]
    labels: Mapping[str, str]
    bridge: str | None = None
    internal: bool = False  # without a route to the outside
    engines_own: str | None = None


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    name: str
    labels: Mapping[str, str]
    driver: str = ""  # empty: the engine's own


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    name: str
    labels: Mapping[str, str]
    device: str = ""  # the path of this server that it is, whatever its name says; empty: its own


@dataclass(frozen=True, slots=True)
class ContainerMount:
    """One place inside a container. `source` is the engine's name of a volume, or a path of the server."""

    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False  # a fresh volume is not filled from the image

    @property
    def is_path(self) -> bool:
        return self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The place of a container in a network of ours. Its MAC follows from the address (domain/host/networks.py)."""

    network: str
    address: str
    aliases: tuple[str, ...] = ()  # further names there
    links: tuple[tuple[str, str], ...] = ()  # what it alone calls others there: name, and the alias that is meant


@dataclass(frozen=True, slots=True)
class Launch:
    """How our launcher starts the program of a container: first it waits for the address, then for the lock."""

    launcher: str  # file on this host, bound into the container
    address: str | None = None  # that one of its interfaces must have
    lock: str | None = None  # file on this host, bound into the container: one container at a time holds it
    env: tuple[tuple[str, str], ...] = ()  # variables whose values are in files: name, path inside the container


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to create. `publish` is bound to 127.0.0.1, None publishes nothing; `labels` are all of ours, so that
    none is inherited."""

    name: str
    bundle: Bundle
    network: str
    address: str
    publish: int | None
    hostname: str
    labels: Mapping[str, str]
    aliases: tuple[str, ...] = ()  # further names in its network
    links: tuple[tuple[str, str], ...] = ()  # what it alone calls others there: name, and the alias that is meant
    hosts: tuple[tuple[str, str], ...] = ()  # lines of its /etc/hosts: name, address
    cap_drop: tuple[str, ...] = ()  # capabilities that it is created without
    mounts: tuple[ContainerMount, ...] = ()
    launch: Launch | None = None  # None: the engine starts its program itself
    apart: bool = False  # created without a place in its network: `ensure_attached` gives it one
    stdin: bool = False  # its program may read what is sent to it
    terminal: bool = False  # its program gets a terminal

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.network, self.address, self.aliases, self.links)


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container as the engine reports it now."""

    id: str
    name: str
    image: str  # image id
    running: bool
    status: str  # created, running, paused, restarting, exited, dead
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)  # network name → address; empty when stopped
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    pid: int = 0  # on the host; 0 when not running
    restarts: int = 0
    started_at: str = ""
    health: str | None = None  # of the image's HEALTHCHECK: starting, healthy, unhealthy
    health_output: str = ""
    healthcheck: tuple[str, ...] = ()  # the command of that HEALTHCHECK
    healthcheck_times: HealthcheckTimes | None = None
    limits: Resources | None = None  # None if the engine cannot enforce one of them
    restart: Restart | None = None
    hostname: str = ""  # also its name on its networks
    env: Mapping[str, str] = field(default_factory=dict)  # including the image's own
    user: str = ""  # that it starts as, its own or the image's; empty: root
    published: int | None = None  # port on the host
    asked: Mapping[str, str] = field(default_factory=dict)  # network name → address that it was created with
    networks: tuple[str, ...] = ()  # names of all networks it is connected to, sorted
    network_ids: Mapping[str, str] = field(default_factory=dict)  # network name → id of that network; empty until it starts
    macs: Mapping[str, str] = field(default_factory=dict)  # network name → MAC address there; empty when stopped
    cap_drop: tuple[str, ...] | None = None  # capabilities that it was created without, sorted; None: not read, not reported
    mounts: Mapping[str, str] | None = None  # place inside → name of a volume, or path of the server; None: not read


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something that happened to a container of this home."""

    at: int  # nanoseconds since 1970, by the engine's clock
    action: str  # create, start, die, destroy, rename, update, pause, unpause, disconnect (from a network, while it runs)
    container: str  # full id
    app: str  # from its label; empty if it has none


@dataclass(frozen=True, slots=True)
class Executed:
    exit_code: int
    output: str


# -- probing an instance ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One response to one probe, or why there was none."""

    ok: bool
    sentence: str  # "GET /healthz gave 503", "connection refused", "no answer in 2 s"
    ms: float = 0.0
    status: int | None = None
    location: str | None = None  # of a redirect
    exit_code: int | None = None  # of a command inside
    code: AnswerCode | None = None  # None: it is accepted


# -- the host -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Neighbour:
    """Which MAC this host sends to for an address. `pinned`: other claims to it are ignored."""

    mac: str
    pinned: bool


# -- the bundle that every use case gets --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Services:
    """The outside world of one home. `bridged`: containers are reached by their address, not by a published port."""

    home: Path
    spec: ServerSpec
    engine: Engine
    traffic: Traffic
    prober: Prober
    guard: Guard
    exclusion: Callable[[], Exclusion]  # few commands need it
    ledger: Ledger
    clock: Clock
    report: Reporter
    actor: Actor
    bridged: bool
    app_file: Callable[[AppName], AppFile]  # reads and checks config/<app>.toml, including conflicts
    app_files: Callable[[], list[AppName]]  # names that have a file
    judge_files: Callable[[], Mapping[AppName, AppFile | DeployctlError]]  # all at once; what app_file returns or raises
    meter: MetricsStore
    kept_logs: KeptLogs  # of removed containers
    files: Callable[[], HostFiles]  # most apps have none
    secrets: Callable[[], Secrets]  # made when it is needed: most apps have none
    foreign: Callable[[], ForeignContainers]  # of a Compose project that is taken over
    imports: Callable[[], Imports]
    hands: int = 1  # containers that one change starts at once

    def close(self) -> None:
        """Close the ledger and the metrics store; SQLite then cleans up their files."""
        self.meter.close()
        self.ledger.close()


# -- what an engine tells ------------------------------------------------------------------------------------------
class Lack(StrEnum):
    """What an engine that is compatible with Docker does not support."""

    UPDATE = "container_update"  # changing limits or restart policy of an existing container
    HEALTHCHECKS = "healthchecks"  # running an image's HEALTHCHECK


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str  # 20.10.24
    api: str  # 1.41
    architecture: str  # amd64, as images write it
    rootless: bool
    local: bool  # a Unix socket on this host: container addresses may be reachable
    security: tuple[str, ...] = ()  # what the engine can enforce: seccomp, apparmor, userns…
    root_dir: str = "/var/lib/docker"
    id: str = ""  # distinguishes engines; Podman generates one for each response
    product: str = "Docker"  # or Podman
    store: str = ""  # where images and containers are stored: overlay2, "containerd overlayfs"; another one hides them all
    containerd: str = ""  # socket of containerd, if it is the image store
    forwarding: bool | None = None  # the kernel forwards IPv4 packets; None: not reported
    lacks: tuple[Lack, ...] = ()  # what this engine does not support
    other_context: str | None = None  # the `docker` command's context, if that is another engine


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image in the engine's list."""

    digest: str  # image id, sha256:<64 hex>
    tags: tuple[str, ...]
    created_at: str  # ISO 8601, UTC
    size: int  # bytes
    commit: str = ""  # from the label org.opencontainers.image.revision


@dataclass(frozen=True, slots=True)
class Image:
    digest: str  # image id, sha256:<64 hex>
    architecture: str
    os: str
    size: int  # bytes
    tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()  # name@sha256:…; alone no proof of a registry: domain/images/image_source.py
    origins: tuple[str, ...] | None = None  # repositories that it was pulled from; None: the engine does not report it
    digests_of_tags: bool = False  # the engine creates a repo digest for each tag, under a digest other than the id
    ports: tuple[int, ...] = ()  # EXPOSE, TCP only
    healthcheck: tuple[str, ...] | None = None
    healthcheck_times: HealthcheckTimes | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
