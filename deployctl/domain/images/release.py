"""What a release is: an image digest and the exact release spec it runs with, under one hash.

These are plain dataclasses and not pydantic models: a rollback reads them from the ledger, and importing pydantic would
cost it 50 ms (docs/adr/0002-start-time.md).
"""

from __future__ import annotations

import json
from enum import StrEnum

from deployctl.dataclass import asdict, dataclass, field
from deployctl.digest import sha256
from deployctl.domain.change.deployment import Change as Change
from deployctl.domain.host.networks import AppNetwork
from deployctl.domain.images.app import App as App
from deployctl.domain.images.app import Policy as Policy
from deployctl.domain.images.component import (
    WEB,
    InstanceId,
    attached_text,
    exclusive_part,
    is_plain,
    read_attached,
    release_hash,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Annotated, Any, Self

    from deployctl.domain.images.component import Component
    from deployctl.domain.images.engine_keys import EngineKeys
    from deployctl.domain.images.mounts import ConfigFile, Mount
    from deployctl.domain.images.secret import SecretRef
    from deployctl.domain.inputs.names import AppName, ComponentName, Version
    from deployctl.domain.inputs.units import At


class Colour(StrEnum):
    BLUE = "blue"
    GREEN = "green"


class ReleaseRole(StrEnum):
    ACTIVE = "active"
    STANDBY = "standby"
    CANDIDATE = "candidate"
    IDLE = "idle"
    FAILED = "failed"


class ProbeKind(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    EXEC = "exec"
    DOCKER = "docker"
    PROCESS = "process"  # nothing is asked: it has run for `uptime` without a restart


class Restart(StrEnum):
    """When the engine restarts a container by itself, in Docker's terms."""

    NEVER = "no"
    ALWAYS = "always"  # after a crash of the app or of the engine, and after a reboot
    UNLESS_STOPPED = "unless-stopped"  # not after a crash of the engine: it counts that as stopped by a user


@dataclass(frozen=True, slots=True)
class Probe:
    """How health is checked. Times are seconds; rise and fall count results in a row."""

    kind: ProbeKind = ProbeKind.HTTP
    path: str = "/"
    host: str | None = None  # Host header; None: the app's name
    status: tuple[tuple[int, int], ...] = ((200, 399),)  # accepted ranges, inclusive
    body: str | None = None  # text that the response must contain
    command: tuple[str, ...] | None = None  # for exec: runs inside the container, exit 0 is healthy
    interval: float = 2.0
    timeout: float = 2.0
    rise: int = 3
    fall: int = 3
    start_grace: float = 0.0
    deadline: float = 60.0
    uptime: float = 0.0  # for process


@dataclass(frozen=True, slots=True)
class Resources:
    memory: int = 512 * 2**20  # bytes; no swap on top
    cpus: float = 1.0
    pids: int = 512


@dataclass(frozen=True, slots=True)
class LogCap:
    max_size: int = 10 * 2**20  # bytes per file
    max_file: int = 3


LATER_KEYS = frozenset({"networks", "cap_add", "mounts", "files", "shm_size", "secrets", "keys"})  # of a bundle
LATER_PROBE_KEYS = frozenset({"uptime"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything a container of this release is created from. Equal specs make equal containers."""

    image: str  # the reference that was requested
    digest: str  # the image id it resolved to: sha256:<64 hex>
    port: int | None  # inside the container; None: it takes no requests
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    user: str | None = None
    working_dir: str | None = None
    env: tuple[tuple[str, str], ...] = ()  # sorted by name
    stop_signal: str | None = None
    stop_grace: float = 10.0
    init: bool = False
    resources: Resources = field(default_factory=Resources)
    log: LogCap = field(default_factory=LogCap)
    probe: Probe = field(default_factory=Probe)
    repo_digest: str | None = None  # name@sha256:…, if it came from a registry: how to pull it again
    networks: tuple[str, ...] = ()  # unmanaged Docker networks that it joins in addition to its own
    cap_add: tuple[str, ...] = ()  # capabilities that it keeps of those that deployctl drops; sorted
    mounts: tuple[Mount, ...] = ()
    files: tuple[ConfigFile, ...] = ()
    shm_size: int = 0  # bytes of /dev/shm; 0: the engine's default
    secrets: tuple[SecretRef, ...] = ()  # as the file lists them
    keys: EngineKeys | None = None  # what is handed through to the engine; None: nothing

    def canonical(self) -> str:
        """Return the one JSON text of this spec: sorted keys, no spaces. Keys introduced after 0.1.0 are included only
        if set, so that an earlier release keeps its text and its hash."""
        return json.dumps(self._fields(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _fields(self) -> dict[str, Any]:
        fields = asdict(self)
        fields["probe"] = {name: value for name, value in fields["probe"].items() if value or name not in LATER_PROBE_KEYS}
        fields |= attached_text(fields)
        fields["secrets"] = [one.to_json() for one in self.secrets]
        return {name: value for name, value in fields.items() if value or name not in LATER_KEYS}

    def hash(self) -> str:
        """Return 64 hex characters that two specs share only if they would run alike.

        Where an image can be pulled from is not part of how it runs, nor is the name it was requested by.
        """
        same_run = self._fields()
        del same_run["repo_digest"], same_run["image"]
        if "files" in same_run:  # where they were read from is not part of it either
            same_run["files"] = [[file["target"], file["sha256"]] for file in same_run["files"]]
        return sha256(json.dumps(same_run, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @classmethod
    def from_canonical(cls, text: str) -> Self:
        raw: dict[str, Any] = json.loads(text)
        probe = raw.pop("probe")
        probe["kind"] = ProbeKind(probe["kind"])
        probe["status"] = tuple((low, high) for low, high in probe["status"])
        probe["command"] = _words(probe["command"])
        return cls(
            **{
                **raw,
                **{key: _words(raw[key]) for key in ("entrypoint", "command")},
                "env": tuple((name, value) for name, value in raw["env"]),
                "resources": Resources(**raw["resources"]),
                "log": LogCap(**raw["log"]),
                "probe": Probe(**probe),
                **{key: tuple(raw.get(key, ())) for key in ("networks", "cap_add")},
                **read_attached(raw),
            }
        )


def _words(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


# the failure of a candidate that nothing is wrong with
OVERTAKEN, SET_ASIDE = "overtaken", "its upgrade was superseded by a rollback"


@dataclass(frozen=True, slots=True)
class Hold:
    at: At
    actor: str
    reason: str
    revision: int = 0  # the app's when it was recorded, set by the ledger: orders it among changes where clocks disagree


@dataclass(frozen=True, slots=True)
class Release:
    """One row that is never edited, except for its health check, colour and hold."""

    id: int  # unique within the home; also HAProxy's server id
    app: AppName
    number: int  # counts per app from 1
    version: Version
    components: tuple[Component, ...]  # the first one is the one that clients reach
    created_at: At
    proven_at: At | None = None  # when it first passed its health check
    colour: Colour | None = None  # None until promoted
    hold: Hold | None = None
    failure: str | None = None  # why its last deployment failed, in one line
    failure_code: str | None = None  # a FailureCause, OVERTAKEN, or an error code; None for rows written by older builds
    # Sorted. Not in the release spec: a release created before they were dropped keeps its hash and its capabilities.
    cap_drop: Annotated[tuple[str, ...], "Linux capabilities that its containers run without."] = ()
    completed: Annotated[tuple[ComponentName, ...], "Its jobs that ended with exit code 0: they never run again."] = ()
    scale: tuple[tuple[ComponentName, int], ...] = ()  # how many replicas of a component `scale` wants instead of the file

    @property
    def bundle(self) -> Bundle:
        """Return the spec of the component that clients reach."""
        return self.components[0].bundle

    @property
    def digest(self) -> str:
        return self.bundle.digest

    @property
    def bundle_hash(self) -> str:
        """Return what two releases share only if they would run alike."""
        return release_hash(self.components)

    @property
    def main(self) -> InstanceId:
        """Return the instance that clients reach, the first one if there are several."""
        return InstanceId(self.number, self.components[0].name)

    @property
    def instances(self) -> tuple[InstanceId, ...]:
        """Return every instance that runs while this release serves, those that clients reach first."""
        return self._ids([one for one in self.components if not one.is_job])

    @property
    def containers(self) -> tuple[InstanceId, ...]:
        """Return everything that has a container: its instances, and the jobs that run once."""
        return self._ids(self.components)

    @property
    def serving(self) -> tuple[InstanceId, ...]:
        """Return those of its instances that a standby runs, too: they take requests, those that clients reach first."""
        only, main = self.exclusive_part, self.components[0]
        return self._ids([one for one in self.components
                          if not (one.is_worker or one.is_job) and (one is main or one.name not in only)])

    @property
    def workers(self) -> tuple[InstanceId, ...]:
        """Return those of its instances that run only while it is live: they take work by themselves, or may run in one
        version at a time."""
        only, main = self.exclusive_part, self.components[0]
        return self._ids([one for one in self.components
                          if not one.is_job and (one.is_worker or (one is not main and one.name in only))])

    @property
    def exclusive_part(self) -> frozenset[ComponentName]:
        """Return its components that can only run while it is live."""
        return exclusive_part(self.components) if any(one.is_exclusive for one in self.components) else frozenset()

    @property
    def can_stand_by(self) -> bool:
        """Return whether it can run beside another version, ready to take the traffic."""
        return self.components[0].name not in self.exclusive_part

    @property
    def mains(self) -> tuple[InstanceId, ...]:
        """Return the instances that the app's own address leads to: the replicas of its first component."""
        return self._ids(self.components[:1])

    @property
    def fronts(self) -> tuple[InstanceId, ...]:
        """Return the instances that clients reach, those of further ports too."""
        return self._ids([one for one in self.components if one is self.components[0] or one.ports])

    def ids_of(self, name: ComponentName) -> tuple[InstanceId, ...]:
        """Return the instances of that component."""
        return self._ids([one for one in self.components if one.name == name])

    def _ids(self, components: Iterable[Component]) -> tuple[InstanceId, ...]:
        number, scale = self.number, dict(self.scale)
        return tuple([InstanceId(number, one.name, n + 1) for one in components
                      for n in range(scale.get(one.name) or one.replicas or 1)])

    def replicas(self, component: Component) -> int:
        """Return how many containers of that component run while this release serves."""
        return dict(self.scale).get(component.name) or component.replicas or 1

    @property
    def is_plain(self) -> bool:
        """Return whether it has one container, and can have no other."""
        return is_plain(self.components)

    def component(self, name: ComponentName) -> Component:
        """Return its component of that name. Raises KeyError."""
        for one in self.components:
            if one.name == name:
                return one
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Instance:
    """One container of a release, as the ledger records it."""

    app: AppName
    release: int  # number
    name: str
    address: str  # on the app's bridge, leased until the container is removed
    host_port: int | None  # on 127.0.0.1, leased likewise; None: it publishes no port
    container: str | None = None  # full id; None: requested, response not seen yet
    routed: bool = False  # HAProxy routes to it
    beside: bool = False  # started by `start`, not counted in keep_warm
    failed: bool = False  # kept for inspection
    store: str | None = None  # of the engine it was created in; None: created before that was recorded
    network: AppNetwork | None = None  # that it was created in; None: the app's own
    component: ComponentName = WEB
    replica: int = 1

    @property
    def id(self) -> InstanceId:
        return InstanceId(self.release, self.component, self.replica)
