"""What the engine, an instance, the clock, the reporter and the ledger must do: for type checkers, never at run time.

Every `ensure_` may be repeated. Everything may raise a DeployctlError and nothing else. Milliseconds are floats named
`ms`, other times are seconds; addresses and ids are text as Docker writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from deployctl.ports.access import AccessBook
from deployctl.ports.metrics import UsageReader

if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment, EndReason, LeaseFacts, Phase
    from deployctl.domain.change.plan import Plan, Step, StepKind
    from deployctl.domain.host.home import HomeFacts, HomeIdentity
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import Component, InstanceId
    from deployctl.domain.images.release import App, Change, Hold, Instance, Probe, Release, Resources
    from deployctl.domain.inputs.names import AppName, ComponentName, Version
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.ports import (
        ContainerFacts,
        ContainerSpec,
        Endpoint,
        EngineEvent,
        EngineInfo,
        Executed,
        Image,
        ListedImage,
        NetworkFacts,
        NetworkSpec,
        ProbeAnswer,
        VolumeFacts,
        VolumeSpec,
    )
    from deployctl.ports.inside import Inside
    from deployctl.ports.logs import LogLine


# -- the engine -----------------------------------------------------------------------------------------------
class Engine(UsageReader, Protocol):
    """Docker, or a compatible engine. Errors: EngineUnavailable (no response), EngineRefused (it rejected the
    request)."""

    def info(self) -> EngineInfo: ...
    def require_store(self) -> None:
        """Raise EngineUnavailable if images cannot be read although the engine responds."""
    def find_image(self, reference: str) -> Image | None:
        """Return the local image, by name or digest (sha256:…); None if there is none."""
    def list_images(self, names: Sequence[str]) -> list[ListedImage]:
        """Return the local images with a tag of one of these names (without tags)."""
    def pull_image(self, reference: str, *, progress: Callable[[str], None]) -> Image:
        """Pull and return it. Raises NotFound (no such image) or RegistryUnavailable."""
    def registry_digest(self, reference: str, *, within: float) -> str:
        """Return the registry's digest (sha256:…, of a manifest or an index) for that name; nothing is pulled. Raises
        NotFound, or RegistryUnavailable: it is unreachable, denies access, or takes longer (seconds)."""
    def keep_image(self, digest: str, tag: str) -> None:
        """Tag the image with a name of ours so that others' clean-ups cannot remove it."""
    def release_image(self, tag: str) -> None:
        """Remove our tag; the image goes with its last tag. Absent is fine."""
    def kept_tags(self) -> list[str]:
        """Return every tag that keeps an image, including other homes'."""
    def networks(self) -> list[NetworkFacts]: ...
    def ensure_network(self, spec: NetworkSpec) -> None:
        """Create it if absent. Raises NetworkTaken if its subnet or bridge is taken, or one of that name has another
        subnet or is not ours."""
    def ensure_network_gone(self, name: str) -> None: ...
    def volumes(self) -> list[VolumeFacts]:
        """Return every volume on the engine, including foreign ones."""
    def ensure_volume(self, spec: VolumeSpec) -> None:
        """Create it, empty, if absent. Raises EngineRefused if one of that name is not ours."""
    def fill_volume(self, name: str, image: str, target: str) -> None:
        """Give an empty volume that no container has yet what that image (a digest) has at `target`, with owner and mode
        of that folder. Raises NotFound if there is no such image."""
    def ensure_volume_gone(self, name: str) -> None:
        """Remove it with its data. Absent is fine. Raises EngineRefused if a container has it."""
    def ensure_created(self, spec: ContainerSpec) -> ContainerFacts:
        """Create it, or adopt the one with the same name and the same labels of ours, and connect it to the networks of
        its release spec. Raises NotFound if one of them does not exist; what was created then stays. Raises EngineRefused
        if a path of the server that it mounts does not exist."""
    def ensure_connected(self, container: str, network: str) -> None:
        """Connect it to that network, where the engine chooses its address; also to one that was recreated under its
        name. Raises NotFound if there is none."""
    def ensure_attached(self, container: str, endpoint: Endpoint) -> ContainerFacts:
        """Give it that place in a network of ours, also while it runs. Raises PlaceTaken if a running container has the
        address."""
    def ensure_detached(self, container: str, network: str) -> ContainerFacts:
        """Take it out of that network, also while it runs: what it has open there breaks off. Absent there is fine."""
    def ensure_started(self, container: str) -> ContainerFacts:
        """Raises PlaceTaken if its port or address is taken, or its network is gone. One that is attached to no network
        is started without one."""
    def ensure_stopped(self, container: str, *, grace: float, keep_restart: bool = False) -> ContainerFacts:
        """Stop with the container's stop signal, kill after `grace` seconds, and never restart it. `keep_restart`: what
        the engine does with it after its own restart stays as it was. Absent is not fine: NotFound."""
    def ensure_removed(self, container: str) -> None:
        """Remove a stopped or running container and its anonymous volumes. Absent is fine."""
    def set_restart(self, container: str, *, always: bool) -> None:
        """Have the engine restart it after a crash of either and a reboot (Restart.ALWAYS), or never; it keeps
        running."""
    def set_limits(self, container: str, limits: Resources) -> None:
        """Set its limits, also while it runs."""
    def ensure_named(self, container: str, name: str) -> None:
        """Restore its name. Raises EngineRefused if another container has it."""
    def read_file(self, container: str, path: str) -> bytes | None:
        """Return the contents of a small file of a container, running or not; None if it has none there."""
    def find_container(self, container: str) -> ContainerFacts | None:
        """Return one container by full id or by exact name, with every field filled."""
    def containers(self) -> list[ContainerFacts]:
        """Return all of this home, including stopped ones; only cheap fields are filled (not exit_code, oom_killed,
        error, pid, restarts, started_at, limits, restart, hostname, env, published, asked, cap_drop, mounts). Raises
        AnotherEngine if there are none because this is not the engine that they are on."""
    def homes(self) -> list[HomeFacts]:
        """Return every home that has containers here, from their labels."""
    def events(self, *, since: int | None, quiet: float) -> Iterator[EngineEvent]:
        """Yield the events of this home's containers: all after `since`, an event's `at`; None: from now on. Ends when
        nothing has happened for `quiet` seconds."""
    def logs(self, container: str, *, tail: int | None = None, since: float | None = None,
             follow: bool = False, left: Callable[[], bool] | None = None) -> Iterator[LogLine]:
        """Yield lines, oldest first: the last `tail` of those written at `since`, Unix time, or later. With `follow` it
        ends when the container does, and soon after its reader has `left`."""
    def execute(self, container: str, command: Sequence[str], *, timeout: float) -> Executed: ...
    def inside(self) -> Inside:
        """Return what people run inside containers themselves."""


# -- probing an instance ------------------------------------------------------------------------------------------
class Prober(Protocol):
    def ask(self, probe: Probe, address: str, port: int, *, host: str, bridge: str | None = None) -> ProbeAnswer:
        """Probe once by HTTP or TCP, within probe.timeout. Never follows redirects, never raises."""


# -- the clock --------------------------------------------------------------------------------------------------
class Clock(Protocol):
    def now(self) -> float:
        """Monotonic seconds."""
    def utc(self) -> str:
        """Wall time as ISO 8601, UTC, to the millisecond."""
    def sleep(self, seconds: float) -> None: ...


# -- progress -----------------------------------------------------------------------------------------------------
class Reporter(Protocol):
    def plan(self, plan: Plan) -> None: ...
    def begin(self, step: Step) -> None: ...
    def detail(self, text: str, step: Step | None = None) -> None:
        """`step`: which one it is about, where several may be in progress."""
    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None: ...
    def warn(self, text: str) -> None: ...


# -- the ledger -------------------------------------------------------------------------------------------------
class Ledger(AccessBook, Protocol):
    """The database. Errors: LedgerUnusable, LeaseHeld (locked too long); see ledger/ for each promise."""

    @property
    def identity(self) -> HomeIdentity: ...
    @property
    def engine(self) -> str | None:
        """Return the id of the engine that this home's containers were last seen on; None if there are none."""
    def set_engine(self, engine: str) -> None: ...
    @property
    def promoted(self) -> bool:
        """Return whether traffic was switched through this object."""
    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...

    def apps(self) -> list[App]: ...
    def find_app(self, app: AppName) -> App | None: ...
    def add_app(self, app: App, *, at: str) -> App: ...
    def backing(self, app: AppName | None = None) -> list[App]: ...
    def find_address(self, app: AppName) -> str | None: ...
    def networks(self, app: AppName | None = None) -> list[AppNetwork]:
        """Return the networks of that app or of all: including those that get no new containers."""
    def add_network(self, app: AppName, network: AppNetwork) -> None: ...
    def remove_network(self, network: str) -> None: ...
    def set_wishes(self, app: App) -> None: ...
    def remove_app(self, app: AppName) -> None: ...

    def releases(self, app: AppName, *, limit: int = -1) -> list[Release]: ...
    def kept_releases(self, app: AppName | None = None) -> list[Release]:
        """Return every release that has a container, of that app or of all, in one read."""
    def releases_within_reach(self, app: AppName, named: Collection[str | int | None] = ()) -> list[Release]:
        """Return the releases that decisions consider: those kept, those that can be rolled back to, and `named`
        versions and numbers."""
    def find_release(self, app: AppName, number: int) -> Release | None: ...
    def find_built(self, app: AppName, version: Version, components: Sequence[Component]) -> Release | None: ...
    def releases_of(self, app: AppName, version: Version, *, limit: int = -1) -> list[int]: ...
    def versions(self, app: AppName, *, limit: int) -> list[str]: ...
    def names_of(self, app: AppName, numbers: Iterable[int]) -> Mapping[int, str]: ...
    def builds(self, app: AppName, version: Version, digest: str) -> list[Release]: ...
    def has_served(self, app: AppName, version: Version, digest: str) -> bool: ...
    def next_number(self, app: AppName) -> int: ...
    def ensure_release(self, app: AppName, version: Version, components: Sequence[Component], *, at: str) -> Release: ...
    def mark_proven(self, app: AppName, number: int, *, at: str) -> None: ...
    def set_scale(self, app: AppName, component: ComponentName, count: int, *, written: int, deployment: int,
                  token: int) -> None: ...
    def mark_failed(self, app: AppName, number: int, *, why: str, code: str) -> None: ...
    def mark_completed(self, app: AppName, job: InstanceId, *, at: str) -> None:
        """Record that this job of a release ended with exit code 0: it is never run again."""
    def note_pull(self, repo_digest: str, *, at: str) -> None:
        """Record that a registry gave us that image by name@sha256:…."""
    def sources(self, digest: str) -> list[str]:
        """Return every name@sha256:… with that digest that a registry gave us."""
    def set_hold(self, app: AppName, version: Version, digest: str | None, hold: Hold | None) -> int: ...

    def instances(self, app: AppName | None = None) -> list[Instance]: ...
    def containers_with_store(self) -> list[str | None]:
        """Return the containers of all apps whose image store is known; None is one that no longer has an id."""
    def find_instance(self, app: AppName, one: InstanceId) -> Instance | None: ...
    def add_instance(self, app: AppName, one: InstanceId, name: str, *, ports: range | None,
                     taken: Callable[[int], bool]) -> Instance: ...
    def set_instance(self, app: AppName, one: InstanceId, **flags: str | bool | None) -> None: ...
    def set_instances(self, app: AppName, release: int, **flags: str | bool | None) -> None: ...
    def remove_instance(self, app: AppName, one: InstanceId) -> None: ...
    def table(self, *, bridged: bool) -> TrafficTable: ...

    def open_deployment(self, plan: Plan, *, actor: str, note: str, at: str, token: int) -> Deployment: ...
    def plan_of(self, deployment: int) -> str: ...
    def find_open(self, app: AppName) -> Deployment | None: ...
    def open_deployments(self) -> list[Deployment]: ...
    def deployments(self, app: AppName, *, limit: int = 50) -> list[Deployment]: ...
    def last_deployment(self, app: AppName, target: int) -> Deployment | None: ...
    def find_deployment(self, deployment: int) -> Deployment | None: ...
    def begin_step(self, deployment: int, seq: int, step: Step, *, phase: Phase, at: str, durable: bool) -> None: ...
    def finish_step(self, deployment: int, seq: int, *, ok: bool, ms: float, text: str, at: str) -> None: ...
    def steps(self, deployment: int) -> list[Mapping[str, Any]]: ...
    def last_times(self, app: AppName) -> Mapping[tuple[StepKind, ComponentName], float]:
        """Return how many seconds each step about a component took the last time it went well, in one of the app's last 20
        deployments."""
    def close_deployment(self, deployment: int, phase: Phase, *, at: str, error: EndReason | None = None,
                         evidence: Sequence[str] = ()) -> None: ...
    def ask_abort(self, app: AppName, *, actor: str) -> bool: ...
    def abort_asked(self, deployment: int) -> str | None: ...

    def changes(self, app: AppName, *, limit: int = -1) -> list[Change]: ...
    def telling_changes(self, app: AppName) -> list[Change]:
        """Return the last change, and for each kept release those by which it last went live and was replaced."""
    def switch_times(self, *, after: int = 0) -> list[tuple[int, AppName, str, float]]:
        """Return id, app, kind and milliseconds of every switch of traffic after that id."""
    def file(self) -> tuple[int, int]:
        """Return which file the ledger is: another one starts its ids again."""
    def promote(self, change: Change, *, deployment: int | None, token: int) -> Change: ...
    def event(self, kind: str, text: str, *, at: str, actor: str, app: AppName | None = None,
              data: Mapping[str, Any] | None = None) -> None: ...
    def events(self, app: AppName | None = None, *, kind: str | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the latest events, last one first: for an app only what happened to it, not what was rejected."""
    def keep_copy(self, *, at: str) -> None:
        """Back it up if traffic was switched since the last backup, and that is a minute old. Takes longer the longer
        the history: the watcher does it, or if none runs a command after printing its result."""

    def damages(self) -> list[str]:
        """Return what SQLite finds wrong with the file, every page and index of it."""
    def find_faults(self) -> list[str]:
        """Return one sentence for each modified row of the history. Reads all of it."""
    def data_version(self) -> int:
        """Return a number that differs after another connection has written to the ledger."""
    def version(self) -> tuple[int, int, int]:
        """Return a value that differs after anything has written to it, this connection included."""
    def stamps(self, app: AppName | None = None) -> Mapping[AppName, str]:
        """Return for each app a text that differs after its traffic, a deployment, a step or a lease has changed."""

    def take_lease(self, app: AppName, *, holder: str, verb: str, at: str,
                   by_force: bool = False) -> int | LeaseFacts: ...
    def heartbeat(self, app: AppName, token: int) -> AbstractContextManager[None]: ...
    def give_lease_back(self, app: AppName, token: int) -> None: ...
    def lease_is_ours(self, app: AppName, token: int) -> bool: ...
    def lease_beside(self, app: AppName, token: int) -> AbstractContextManager[Callable[[], bool]]:
        """Yield `lease_is_ours` for another thread, over a connection of its own."""
    def this_process(self) -> str:
        """Return a text that means this process, also after its number was given to another one."""
    def lives(self, process: str) -> bool:
        """Return whether the process of that text still runs."""
    def find_lease(self, app: AppName) -> LeaseFacts | None: ...
