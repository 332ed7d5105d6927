"""An engine in memory that keeps the promises of the real one, with a script for what apps and Docker may do wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from deployctl.errors import (
    DeployctlError,
    EngineRefused,
    EngineUnavailable,
    Invalid,
    NotFound,
    NotPermitted,
)
from deployctl.ports import (
    ContainerFacts,
    ContainerSpec,
    EngineInfo,
    Executed,
    Image,
    LogLine,
    NetworkFacts,
    NetworkSpec,
)
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_images import FakeImages, require_kept
from deployctl.testing.fake_networks import FakeNetworks

HOME = "deployctl.home"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the containers of one image, or of one command, act."""

    exits: int | None = None  # ends right after its start, with this code
    oom: bool = False
    deaf: bool = False  # hears no stop signal
    refused: str | None = None  # why it cannot even be started
    prints: tuple[str, ...] = ()
    health: str | None = None  # of its own HEALTHCHECK


@dataclass
class _Container:
    facts: ContainerFacts
    spec: ContainerSpec | None  # None: a stranger's
    restart: bool = False
    log: list[LogLine] = field(default_factory=list)


class FakeEngine:
    """`calls` lists every change that was asked for, in order, as `verb name`."""

    def __init__(self, home: str = "/srv/deployctl", *, clock: FakeClock | None = None) -> None:
        self.home = home
        self.clock = clock or FakeClock()
        self.engine_info = EngineInfo("20.10.24", "1.41", "amd64", rootless=False, local=True, security=("seccomp",))
        self.away: str | None = None  # why nothing answers
        self.images = FakeImages()
        self.networks_here = FakeNetworks()
        self.behaviours: dict[str | tuple[str, ...], Behaviour] = {}  # by image id, or by command
        self.executes: Callable[[ContainerFacts, Sequence[str]], Executed] = lambda container, command: Executed(0, "")
        self.calls: list[str] = []
        self._containers: dict[str, _Container] = {}  # by id
        self._faults: list[tuple[str, DeployctlError, bool]] = []
        self._made = 0

    # -- the script -----------------------------------------------------------------------------------------------
    def add_stranger(self, name: str, *, image: str, labels: Mapping[str, str] | None = None) -> ContainerFacts:
        """Let somebody else run a container here."""
        facts = ContainerFacts(self._new_id(), name, image, running=True, status="running", labels=labels or {})
        self._containers[facts.id] = _Container(facts, None)
        return facts

    def die(self, container: str, *, exit_code: int = 1, oom: bool = False) -> None:
        """Let a running container end by itself."""
        self._end(self._require(container), exit_code=exit_code, oom=oom)

    def fail_next(self, verb: str, error: DeployctlError, *, after: bool = False) -> None:
        """Let the next change of that verb (create, start, …) fail; with `after` it is done and the answer is lost."""
        self._faults.append((verb, error, after))

    def restarts_always(self, container: str) -> bool:
        return self._require(container).restart

    # -- reads ----------------------------------------------------------------------------------------------------
    def info(self) -> EngineInfo:
        self._require_here()
        return self.engine_info

    def networks(self) -> list[NetworkFacts]:
        self._require_here()
        return list(self.networks_here.facts.values())

    def find_container(self, container: str) -> ContainerFacts | None:
        self._require_here()
        found = self._find(container)
        return None if found is None else found.facts

    def containers(self) -> list[ContainerFacts]:
        self._require_here()
        ours = (c.facts for c in self._containers.values() if c.facts.labels.get(HOME) == self.home)
        return [replace(f, exit_code=None, oom_killed=False, error="", pid=0, restarts=0, started_at="") for f in ours]

    def logs(
        self, container: str, *, tail: int | None = None, since: float | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        self._require_here()
        log = self._require(container).log
        yield from log[max(0, len(log) - tail) :] if tail is not None else log

    # -- images ---------------------------------------------------------------------------------------------------
    def find_image(self, reference: str) -> Image | None:
        self._require_here()
        return self.images.find(reference)

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
        self._finish("create")
        return made.facts

    def _create(self, spec: ContainerSpec) -> _Container:
        labels = {**spec.labels, "deployctl.managed": "1", HOME: self.home}
        digest = spec.bundle.digest
        facts = ContainerFacts(self._new_id(), spec.name, digest, running=False, status="created", labels=labels)
        self._containers[facts.id] = _Container(facts, spec)
        return self._containers[facts.id]

    def _adopt(self, spec: ContainerSpec) -> _Container | None:
        there = self._find(spec.name)
        if there is None:
            return None
        wanted = {**spec.labels, HOME: self.home}
        same = all(there.facts.labels.get(key) == text for key, text in wanted.items())
        if not same or there.facts.image != spec.bundle.digest:
            raise EngineRefused(f"a container named {spec.name} exists already and is not the one that is wanted")
        return there

    def ensure_started(self, container: str) -> ContainerFacts:
        self._begin("start", container)
        found = self._require_ours(container)
        if not found.facts.running:
            self._start(found)
        self._finish("start")
        return found.facts

    def _start(self, found: _Container) -> None:
        spec = _spec_of(found)
        behaviour = self._behaviour(spec)
        self._require_startable(found, behaviour)
        found.facts = replace(
            found.facts, running=True, status="running", exit_code=None, oom_killed=False, error="",
            pid=10_000 + self._made, started_at=self.clock.utc(), addresses={spec.network: spec.address},
            health=behaviour.health,
        )  # fmt: skip
        found.log += [LogLine(self.clock.utc(), "stdout", text) for text in behaviour.prints]
        if behaviour.exits is not None:
            self._end(found, exit_code=behaviour.exits, oom=behaviour.oom)

    def _require_startable(self, found: _Container, behaviour: Behaviour) -> None:
        spec, name = _spec_of(found), found.facts.name
        if behaviour.refused is not None:
            found.facts = replace(found.facts, error=behaviour.refused, exit_code=127)
            raise EngineRefused(f"start {name}: {behaviour.refused}")
        others = [c.spec for c in self._containers.values() if c.spec and c.facts.running]
        if any(other.publish == spec.publish for other in others):
            raise EngineRefused(f"start {name}: port 127.0.0.1:{spec.publish} is already taken by another container")
        if any((other.network, other.address) == (spec.network, spec.address) for other in others):
            raise EngineRefused(f"start {name}: another container has the address that this one should get")

    def ensure_stopped(self, container: str, *, grace: float) -> ContainerFacts:
        self._begin("stop", container)
        found = self._require_ours(container)
        if found.facts.running:
            deaf = self._behaviour(_spec_of(found)).deaf
            self.clock.sleep(grace if deaf else 0)
            self._end(found, exit_code=137 if deaf else 0)
        self._finish("stop")
        return found.facts

    def ensure_removed(self, container: str) -> None:
        self._begin("remove", container)
        if self._find(container) is not None:
            del self._containers[self._require_ours(container).facts.id]
        self._finish("remove")

    def set_restart(self, container: str, *, always: bool) -> None:
        self._begin("restart", container)
        self._require_ours(container).restart = always
        self._finish("restart")

    def execute(self, container: str, command: Sequence[str], *, timeout: float) -> Executed:
        self._begin("execute", container)
        found = self._require_ours(container)
        if not found.facts.running:
            raise EngineRefused(f"run {command[0]}: container {found.facts.name} is not running")
        return self.executes(found.facts, command)

    # -- shared ---------------------------------------------------------------------------------------------------
    def _begin(self, verb: str, what: str) -> None:
        self._require_here()
        names = {c.facts.id: c.facts.name for c in self._containers.values()}
        self.calls.append(f"{verb} {names.get(what, what)}")
        self._fail(verb, after=False)

    def _finish(self, verb: str) -> None:
        self._fail(verb, after=True)

    def _fail(self, verb: str, *, after: bool) -> None:
        for fault in self._faults:
            if fault[0] == verb and fault[2] is after:
                self._faults.remove(fault)
                raise fault[1]

    def _require_here(self) -> None:
        if self.away is not None:
            raise EngineUnavailable(f"Docker does not answer ({self.away})", remedy=["sudo systemctl start docker"])

    def _find(self, container: str) -> _Container | None:
        if not _NAME.fullmatch(container):
            raise Invalid(f"{container!r} is no container id or name")
        return next((c for c in self._containers.values() if container in {c.facts.id, c.facts.name}), None)

    def _require(self, container: str) -> _Container:
        found = self._find(container)
        if found is None:
            raise NotFound(f"there is no container {container}")
        return found

    def _require_ours(self, container: str) -> _Container:
        found = self._require(container)
        if found.facts.labels.get(HOME) != self.home:
            raise NotPermitted(f"container {container} is not ours")
        return found

    def _end(self, found: _Container, *, exit_code: int, oom: bool = False) -> None:
        found.facts = replace(
            found.facts, running=False, status="exited", exit_code=exit_code, oom_killed=oom, pid=0, addresses={}
        )

    def _behaviour(self, spec: ContainerSpec) -> Behaviour:
        by_command = self.behaviours.get(spec.bundle.command or ())
        return by_command or self.behaviours.get(spec.bundle.digest, Behaviour())

    def _new_id(self) -> str:
        self._made += 1
        return sha256(f"{self.home} {self._made}".encode()).hexdigest()


def _spec_of(container: _Container) -> ContainerSpec:
    if container.spec is None:
        raise NotPermitted(f"container {container.facts.name} is not ours")
    return container.spec
