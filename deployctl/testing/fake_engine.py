"""An engine in memory that keeps the promises of the real one, with a script for what apps and Docker may do wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from deployctl.dataclass import dataclass, replace
from deployctl.domain.host.home import ONE_OFF, HomeFacts, HomeIdentity, count_homes
from deployctl.domain.images.release import Resources, Restart
from deployctl.errors import (
    AnotherEngine,
    EngineRefused,
    EngineUnavailable,
    NotFound,
    NotPermitted,
    PlaceTaken,
)
from deployctl.ports import (
    ContainerFacts,
    ContainerSpec,
    Endpoint,
    EngineEvent,
    EngineInfo,
    Executed,
    Image,
    ListedImage,
    LogLine,
    NetworkFacts,
    NetworkSpec,
)
from deployctl.testing.fake_clock import FakeClock, unix
from deployctl.testing.fake_hands import FakeContainer, FakeHands
from deployctl.testing.fake_images import FakeImages, require_kept
from deployctl.testing.fake_launches import addresses_of, macs_of, spec_of
from deployctl.testing.fake_networks import FakeNetworks
from deployctl.testing.fake_script import FakeScript
from deployctl.testing.fake_volumes import FakeVolumes, FakeVolumeVerbs


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the containers of one image, or of one command, act."""

    exits: int | None = None  # exits right after its start, with this code
    oom: bool = False
    deaf: bool = False  # ignores the stop signal
    refused: str | None = None  # why it cannot even be started
    prints: tuple[str, ...] = ()
    health: str | None = None  # of its own HEALTHCHECK
    loses_lock: bool = False  # closes the files it inherits, and with them the launcher's lock


class FakeEngine(FakeVolumeVerbs, FakeHands, FakeScript):
    """`calls` lists every requested change, in order, as `verb name`."""

    def __init__(self, home: str | HomeIdentity = "/srv/deployctl", *, clock: FakeClock | None = None) -> None:
        super().__init__(HomeIdentity(home) if isinstance(home, str) else home, clock or FakeClock())
        self.known: Callable[[], str | None] = lambda: None  # the engine that the home's containers are on
        self.engine_info = EngineInfo("20.10.24", "1.41", "amd64", rootless=False, local=True, security=("seccomp",), id="FAKE")
        self.away: str | None = None  # why it does not respond
        self.images = FakeImages()
        self.networks_here, self.volumes_here = FakeNetworks(), FakeVolumes()
        self.paths_missing: set[str] = set()  # of the server
        self.behaviours: dict[str | tuple[str, ...], Behaviour] = {}  # by image id, or by command
        self.files: dict[str, bytes] = {}  # of every container, by path
        self.executes: Callable[[ContainerFacts, Sequence[str]], Executed] = lambda container, command: Executed(0, "")
        self.calls, self.usages = list[str](), {}
        self._faults = []

    # -- the script -----------------------------------------------------------------------------------------------

    def restarts_always(self, container: str) -> bool:
        return self._require(container).facts.restart is Restart.ALWAYS

    # -- reads ----------------------------------------------------------------------------------------------------
    def info(self) -> EngineInfo:
        self._require_here()
        return self.engine_info

    def require_store(self) -> None:
        self._require_here()

    def networks(self) -> list[NetworkFacts]:
        self._require_here()
        return list(self.networks_here.facts.values())

    def find_container(self, container: str) -> ContainerFacts | None:
        self._require_here()
        found = self._find(container)
        return None if found is None else found.facts

    def containers(self) -> list[ContainerFacts]:
        self._require_here()
        ours = [c.facts for c in self._containers.values() if self.home.owns(c.facts.labels) and ONE_OFF not in c.facts.labels]
        if not ours and self.known() not in {None, self.engine_info.id}:
            raise AnotherEngine("the engine is another one than the one that this home's containers run on")
        return [replace(f, exit_code=None, oom_killed=False, error="", pid=0, restarts=0, started_at="", limits=None,
                        restart=None, hostname="", env={}, user="", published=None, asked={}, cap_drop=None, mounts=None)
                for f in ours]

    def homes(self) -> list[HomeFacts]:
        self._require_here()
        return count_homes(c.facts.labels for c in self._containers.values())

    def events(self, *, since: int | None, quiet: float) -> Iterator[EngineEvent]:
        self._require_here()
        yield from self.told.after(since)

    def logs(
        self, container: str, *, tail: int | None = None, since: float | None = None, follow: bool = False,
        left: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        self._require_here()
        log = [line for line in self._require(container).log if since is None or unix(line.at) >= since]
        last = log[max(0, len(log) - tail) :] if tail is not None else log
        yield from takewhile(lambda _line: left is None or not left(), last)

    # -- images ---------------------------------------------------------------------------------------------------
    def find_image(self, reference: str) -> Image | None:
        self._require_here()
        return self.images.find(reference)

    def registry_digest(self, reference: str, *, within: float) -> str:
        self._require_here()
        return self.images.registry_digest(reference)

    def list_images(self, names: Sequence[str]) -> list[ListedImage]:
        self._require_here()
        return self.images.listed(names)

    def pull_image(self, reference: str, *, progress: Callable[[str], None]) -> Image:
        self._begin("pull", reference)
        image = self.images.pull(reference)
        progress("1 of 1 layers")
        self._finish("pull")
        return image

    def keep_image(self, digest: str, tag: str) -> None:
        require_kept(tag)
        self._begin("keep", tag)
        self.images.keep(digest, tag)
        self._finish("keep")

    def kept_tags(self) -> list[str]:
        self._require_here()
        return self.images.kept_tags()

    def release_image(self, tag: str) -> None:
        require_kept(tag)
        self._begin("release", tag)
        self.images.release(tag, users={c.facts.image: c.facts.name for c in self._containers.values()})
        self._finish("release")

    # -- networks -------------------------------------------------------------------------------------------------
    def ensure_network(self, spec: NetworkSpec) -> None:
        self._begin("network", spec.name)
        self.networks_here.ensure(spec, home=self.home)
        self._finish("network")

    def ensure_network_gone(self, name: str) -> None:
        self._begin("network_gone", name)
        self.networks_here.ensure_gone(
            name, home=self.home, used={n for c in self._containers.values() for n in c.facts.addresses}
        )
        self._finish("network_gone")

    # -- containers -----------------------------------------------------------------------------------------------
    def ensure_created(self, spec: ContainerSpec) -> ContainerFacts:
        self._begin("create", spec.name)
        if self.images.find(spec.bundle.digest) is None:
            raise NotFound(f"the image of {spec.name}, {spec.bundle.digest}, is not on this server")
        made = self._adopt(spec) or self._create(spec)
        for network in spec.bundle.networks:
            self._connect(made, network)
        self._finish("create")
        return made.facts

    def _create(self, spec: ContainerSpec) -> FakeContainer:
        labels = {**spec.labels, "deployctl.managed": "1", **self.home.labels}
        digest = spec.bundle.digest
        image = self.images.find(digest)
        if lost := [mount.source for mount in spec.mounts if mount.source in self.paths_missing]:
            raise EngineRefused(f"create {spec.name}: the path {lost[0]} does not exist on the server")
        self.volumes_here.mount(spec)
        facts = ContainerFacts(self._new_id(), spec.name, digest, running=False, status="created", labels=labels,
                               limits=spec.bundle.resources, restart=Restart.NEVER, hostname=spec.hostname,
                               user=spec.bundle.user or "",
                               env={**dict(image.env if image else ()), **dict(spec.bundle.env)},
                               published=spec.publish, asked={} if spec.apart else {spec.network: spec.address},
                               networks=() if spec.apart else (spec.network,), cap_drop=spec.cap_drop,
                               mounts={mount.target: mount.source for mount in spec.mounts})
        self._containers[facts.id] = FakeContainer(facts, spec)
        self.told.tell("create", facts)
        return self._containers[facts.id]

    def _adopt(self, spec: ContainerSpec) -> FakeContainer | None:
        there = self._find(spec.name)
        if there is None:
            return None
        wanted = {**spec.labels, **self.home.labels}
        same = all(there.facts.labels.get(key) == text for key, text in wanted.items())
        if not same or there.facts.image != spec.bundle.digest:
            raise EngineRefused(f"a container named {spec.name} already exists and is not the expected one")
        return there

    def ensure_connected(self, container: str, network: str) -> None:
        self._begin("connect", container)
        self._connect(self._require_ours(container), network)
        self._finish("connect")

    def _connect(self, found: FakeContainer, name: str) -> None:
        self.networks_here.require_joinable(name)
        found.facts = replace(found.facts, networks=tuple(sorted({*found.facts.networks, name})))
        if found.facts.running:
            found.facts = replace(found.facts, addresses=addresses_of(found, spec_of(found)))

    def ensure_attached(self, container: str, endpoint: Endpoint) -> ContainerFacts:
        self._begin("attach", container)
        found = self._require_ours(container)
        if found.facts.asked.get(endpoint.network) != endpoint.address:
            self._attach(found, endpoint)
        self._finish("attach")
        return found.facts

    def ensure_detached(self, container: str, network: str) -> ContainerFacts:
        self._begin("detach", container)
        found = self._require_ours(container)
        self._detach(found, network)
        self._finish("detach")
        return found.facts

    def ensure_started(self, container: str) -> ContainerFacts:
        self._begin("start", container)
        found = self._require_ours(container)
        if found.facts.status == "paused":
            found.facts = replace(found.facts, running=True, status="running")
            self.told.tell("unpause", found.facts)
        elif not found.facts.running:
            self._start(found)
        self._finish("start")
        return found.facts

    def _start(self, found: FakeContainer) -> None:
        spec = spec_of(found)
        behaviour = self._behaviour(spec)
        self._require_startable(found, behaviour)
        found.facts = replace(
            found.facts, running=True, status="running", exit_code=None, oom_killed=False, error="",
            pid=self._new_pid(), started_at=self.clock.utc(), addresses=addresses_of(found, spec),
            macs=macs_of(found, spec), health=behaviour.health,
        )  # fmt: skip
        self.told.tell("start", found.facts)
        found.waiting = True
        self._launch()

    def _begin_program(self, found: FakeContainer) -> None:
        behaviour = self._behaviour(spec_of(found))
        found.log += [LogLine(self.clock.utc(), "stdout", text) for text in behaviour.prints]
        found.lock_lost = behaviour.loses_lock
        if behaviour.exits is not None:
            self._end(found, exit_code=behaviour.exits, oom=behaviour.oom)

    def _require_startable(self, found: FakeContainer, behaviour: Behaviour) -> None:
        spec, name = spec_of(found), found.facts.name
        if behaviour.refused is not None:
            found.facts = replace(found.facts, error=behaviour.refused, exit_code=127)
            raise EngineRefused(f"start {name}: {behaviour.refused}")
        others = [c.spec for c in [*self._containers.values()] if c.spec and c.facts.running]
        if spec.publish and any(other.publish == spec.publish for other in others):
            raise PlaceTaken(f"start {name}: port 127.0.0.1:{spec.publish} is already taken by another container")
        if spec.network not in found.facts.networks:
            return  # it has no place there
        if spec.network not in self.networks_here.facts:
            raise PlaceTaken(f"start {name}: network {spec.network} not found")
        if self._has_owner(spec.network, spec.address, but=found):
            raise PlaceTaken(f"start {name}: the address for this container is used by another one")

    def ensure_stopped(self, container: str, *, grace: float, keep_restart: bool = False) -> ContainerFacts:
        self._begin("stop", container)
        found = self._require_ours(container)
        found.facts = found.facts if keep_restart else replace(found.facts, restart=Restart.NEVER)
        if found.facts.running or found.facts.status == "paused":
            deaf = self._behaviour(spec_of(found)).deaf and not found.waiting  # the launcher heeds it
            self.clock.sleep(grace if deaf else 0)
            self._end(found, exit_code=137 if deaf else 0)
        self._finish("stop")
        return found.facts

    def ensure_removed(self, container: str) -> None:
        self._begin("remove", container)
        if self._find(container) is not None:
            removed = self._containers.pop(self._require_ours(container).facts.id)
            self.told.tell("destroy", removed.facts)
            self._launch()
        self._finish("remove")

    def set_restart(self, container: str, *, always: bool) -> None:
        self._update("restart", container, restart=Restart.ALWAYS if always else Restart.NEVER)

    def set_limits(self, container: str, limits: Resources) -> None:
        self._update("limit", container, limits=limits)

    def ensure_named(self, container: str, name: str) -> None:
        there = self._find(name)
        if there is not None and container not in {there.facts.id, there.facts.name}:
            raise EngineRefused(f"rename {container}: another container has the name {name}")
        self._update("rename", container, name=name)

    def _update(self, verb: str, container: str, **fields: object) -> None:
        self._begin(verb, container)
        found = self._require_ours(container)
        found.facts = replace(found.facts, **fields)  # type: ignore[arg-type]  # fields of ContainerFacts, by name
        self.told.tell("rename" if verb == "rename" else "update", found.facts)
        self._finish(verb)

    def execute(self, container: str, command: Sequence[str], *, timeout: float) -> Executed:
        self._begin("execute", container)
        found = self._require_ours(container)
        if not found.facts.running:
            raise EngineRefused(f"run {command[0]}: container {found.facts.name} is not running")
        return self.executes(found.facts, command)

    # -- shared ---------------------------------------------------------------------------------------------------
    def _has_volume(self, name: str) -> bool:
        return any(name in (c.facts.mounts or {}).values() for c in self._containers.values())

    def _begin(self, verb: str, what: str) -> None:
        self._require_here()
        names = {c.facts.id: c.facts.name for c in self._containers.values()}
        self.calls.append(f"{verb} {names.get(what, what)}")
        self._fail(verb, after=False)

    def _finish(self, verb: str) -> None:
        self._fail(verb, after=True)

    def _require_here(self) -> None:
        if self.away is not None:
            raise EngineUnavailable(f"Docker is not responding ({self.away})", remedy=["sudo systemctl start docker"])

    def _require_ours(self, container: str) -> FakeContainer:
        found = self._require(container)
        if not self.home.owns(found.facts.labels):
            raise NotPermitted(f"container {container} is not ours")
        return found

    def _behaviour(self, spec: ContainerSpec) -> Behaviour:
        by_command = self.behaviours.get(spec.bundle.command or ())
        return by_command or self.behaviours.get(spec.bundle.digest, Behaviour())
