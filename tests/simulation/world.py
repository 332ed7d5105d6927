"""The simulated world: engine, HAProxy, host and ledger of one home, and what visitors of its apps get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Protocol, cast

from deployctl.config.app import parse_app_spec
from deployctl.domain.host.actor import Actor
from deployctl.domain.host.home import HomeIdentity
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.effects.host_files import KeptFiles
from deployctl.errors import EngineRefused
from deployctl.ports import ContainerFacts, Engine, Exclusion, Guard, Image, Ledger, Prober, Services, Traffic
from deployctl.ports.secrets import Secrets
from deployctl.testing.compose.fake_foreign import FakeForeigners, FakeImports
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import Behaviour, FakeEngine
from deployctl.testing.fake_exclusion import FakeExclusion
from deployctl.testing.fake_guard import FakeGuard
from deployctl.testing.fake_hands import FakeContainer
from deployctl.testing.fake_images import made_up
from deployctl.testing.fake_logs import FakeKeptLogs
from deployctl.testing.fake_metrics import FakeMetrics
from deployctl.testing.fake_prober import AskedProbe, FakeProber, Reply
from deployctl.testing.fake_secrets import FakeSecrets
from deployctl.testing.silent_reporter import SilentReporter
from tests.simulation.doors import Door
from tests.simulation.faults import Weather
from tests.simulation.machine import HOME, Hearts, MemoryConnection, SimulatedLedger, blank_ledger
from tests.simulation.scheduler import Process, ProcessClock, Scheduler
from tests.simulation.traffic import SimulatedTraffic

SHOP, DOCS = AppName("shop"), AppName("docs")
APPS = (SHOP, DOCS)
DB = AppName("shop/db")  # the shop's, where its file has one
IMAGES = (*APPS, "db")
SPEC = ServerSpec()

# version → how its containers act; the others are well
SICK, CRASHES, REFUSED, SLOW, DEAF = "v5", "v6", "v7", "v8", "v9"
BEHAVIOURS = {CRASHES: Behaviour(exits=3, prints=("no such table",)), REFUSED: Behaviour(refused="exec format error"),
              DEAF: Behaviour(deaf=True)}
JOB = ("migrate",)  # a command that works for a moment and ends
JOB_SECONDS = 0.5
COMMANDS: dict[str | tuple[str, ...], Behaviour] = {  # whatever the image does
    JOB: Behaviour(), ("explode",): Behaviour(exits=1, prints=("no such table",))}
SLOW_ANSWERS = 4  # refused ones before the first good one


@dataclass(frozen=True, slots=True)
class Scene:
    """A world to begin with, kept so that every schedule starts from a copy."""

    pages: bytes
    engine: SimulatedEngine
    guard: FakeGuard
    traffic: SimulatedTraffic
    files: dict[AppName, AppFile]
    secrets: FakeSecrets


class Guardian(Protocol):
    """Looks at the world around every change that a process makes."""

    def begins(self, process: Process, port: str, name: str, args: tuple[Any, ...]) -> None: ...
    def after(self, process: Process, port: str, name: str, args: tuple[Any, ...], served: dict[AppName, bool]) -> None: ...


class SimulatedEngine(FakeEngine):
    """Docker as it is between a container's death and its restart, too."""

    def __init__(self, home: str | HomeIdentity, *, clock: FakeClock) -> None:
        super().__init__(home, clock=clock)
        self.restarting: set[str] = set()

    def _begin_program(self, found: FakeContainer) -> None:
        super()._begin_program(found)
        if found.spec is not None and found.spec.bundle.command == JOB and isinstance(self.clock, WorldClock):
            self.clock.scheduler.after(JOB_SECONDS, lambda: self._complete(found))

    def _complete(self, job: FakeContainer) -> None:
        if job.facts.running and self._containers.get(job.facts.id) is job:
            self.die(job.facts.id, exit_code=0)

    def ensure_stopped(self, container: str, *, grace: float, keep_restart: bool = False) -> ContainerFacts:
        facts = super().ensure_stopped(container, grace=grace, keep_restart=keep_restart)
        self.restarting.discard(facts.id)
        return facts

    def crash(self, container: str) -> bool:
        """Let it die by itself; True when it will be restarted."""
        self.die(container, exit_code=1)
        if self.restarts_always(container):
            self.restarting.add(container)
        return container in self.restarting

    def restart(self, container: str) -> None:
        """Let Docker restart it, if it still wants to. Raises EngineRefused when its port or address was given away."""
        found = self._containers.get(container)
        if container in self.restarting and found is not None and self.restarts_always(container) and not found.facts.running:
            self._start(found)
            found.facts = replace(found.facts, restarts=found.facts.restarts + 1)
        self.restarting.discard(container)


class WorldClock(FakeClock):
    """The engine's clock: who waits for it lets others work meanwhile."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self.scheduler = scheduler

    def now(self) -> float:
        return self.scheduler.now

    def utc(self) -> str:
        return self.scheduler.utc()

    def sleep(self, seconds: float) -> None:
        if seconds and self.scheduler.running:
            self.scheduler.running.sleep(seconds)


class World:
    def __init__(self, scheduler: Scheduler, scene: Scene | None = None) -> None:
        self.scheduler, self.weather = scheduler, Weather()
        self.db = MemoryConnection(scene.pages if scene else blank_ledger())
        self.hearts = Hearts(scheduler)
        clock = WorldClock(scheduler)
        self.engine = engine_copy(scene.engine, clock) if scene else engine_with_images(clock)
        self.exclusion = FakeExclusion(self.engine)
        self.guard = guard_copy(scene.guard) if scene else FakeGuard()
        self.reader = SimulatedLedger(self.db, Process(scheduler, "nobody", lambda process: None, at=0.0), self.hearts)
        table = lambda: self.reader.table(bridged=True)  # noqa: E731  both want the same
        self.traffic = scene.traffic.copy(table) if scene else SimulatedTraffic(table)
        self.traffic.now = clock.now
        self.traffic.ensure_up()
        self.files = dict(scene.files) if scene else {SHOP: app_file(SHOP), DOCS: app_file(DOCS)}
        self.prober = FakeProber(self._answer)
        self.patience: dict[str, int] = {}  # container → refused answers so far
        self.befallen: set[str] = set()  # containers that died by themselves
        self.guardian: Guardian | None = None
        self.secrets = secrets_copy(scene.secrets) if scene else FakeSecrets()

    def scene(self) -> Scene:
        clock = WorldClock(self.scheduler)
        return Scene(self.db.raw.serialize(), engine_copy(self.engine, clock), guard_copy(self.guard),
                     self.traffic.copy(self.traffic._table), dict(self.files), secrets_copy(self.secrets))

    def services(self, process: Process) -> Services:
        """Return the world as this process reaches it."""
        ledger = SimulatedLedger(self.db, process, self.hearts)
        return Services(
            home=HOME, spec=SPEC, clock=ProcessClock(process), report=SilentReporter(), actor=Actor.of(process.name),
            bridged=True, app_file=lambda app: self.files[owner_of(app)].of(app), app_files=lambda: list(self.files),
            judge_files=lambda: self.files,
            engine=cast(Engine, Door(process, self, "engine", self.engine)),
            traffic=cast(Traffic, Door(process, self, "traffic", self.traffic)),
            prober=cast(Prober, Door(process, self, "prober", self.prober)),
            guard=cast(Guard, Door(process, self, "guard", self.guard)),
            exclusion=lambda: cast(Exclusion, Door(process, self, "exclusion", self.exclusion)),
            ledger=cast(Ledger, Door(process, self, "ledger", ledger)), meter=FakeMetrics(), kept_logs=FakeKeptLogs(),
            files=lambda: KeptFiles(HOME / "config", HOME / "state/files"),
            secrets=lambda: self._secrets(process),
            foreign=FakeForeigners, imports=FakeImports,
        )

    def _secrets(self, process: Process) -> Secrets:
        """Without any there is nothing that could go wrong with them."""
        return cast(Secrets, Door(process, self, "secrets", self.secrets)) if self.secrets.apps() else self.secrets

    # -- what visitors get ------------------------------------------------------------------------------------------
    def _wants_database(self) -> bool:
        row = self.reader.find_app(DB) if self.files[SHOP].backing else None
        return row is not None and row.active is not None

    def is_at_work(self, app: AppName) -> bool:
        """Tell whether a program of the backing component runs at its address."""
        return any(one.facts.running and not one.waiting and one.facts.addresses
                   for one in self.engine._containers.values() if one.facts.labels.get("deployctl.app") == app)

    def is_served(self, app: AppName) -> bool:
        """Tell whether a visitor of the app gets a good answer now. An app with a database asks that, unless it was stopped."""
        if app == SHOP and self._wants_database() and not self.is_at_work(DB):
            return False
        number = self.traffic.live.get(app)
        if number is None or self.traffic.worker is None:
            return False
        servers = self.traffic.worker.servers.get((app, number), {}).values()
        return any(self.answers(server.address) == 200 for server in servers)

    def answers(self, address: str, *, asked: bool = False) -> Reply:
        """Return what the container at that address answers; `asked` counts for one that is slow to get up."""
        for container in self.engine._containers.values():
            facts = container.facts
            if facts.running and not container.waiting and address in facts.addresses.values():
                version = facts.labels.get("deployctl.version")
                if version == SICK:
                    return 503
                if version == SLOW:
                    self.patience[facts.id] = count = self.patience.get(facts.id, 0) + asked
                    return 200 if count > SLOW_ANSWERS else "connection refused"
                return 200
        return "connection refused"

    def _answer(self, asked: AskedProbe) -> Reply:
        return self.answers(asked.address, asked=True)

    # -- around every change ------------------------------------------------------------------------------------------
    def begins(self, process: Process, port: str, name: str, args: tuple[Any, ...]) -> None:
        if self.guardian:
            self.guardian.begins(process, port, name, args)

    def served(self) -> dict[AppName, bool]:
        return {app: self.is_served(app) for app in APPS} if self.guardian else {}

    def after(self, process: Process, port: str, name: str, args: tuple[Any, ...], served: dict[AppName, bool]) -> None:
        if self.guardian:
            self.guardian.after(process, port, name, args, served)

    def told(self, port: str, name: str, args: tuple[Any, ...], more: dict[str, Any], result: object) -> str:
        words = [short(arg) for arg in args] + [f"{key}={short(value)}" for key, value in more.items()]
        return f"{port}.{name}({', '.join(words)}) → {short(result)}"

    # -- mischief -----------------------------------------------------------------------------------------------------
    def kill_container(self, random: Random) -> str | None:
        """Kill one of our running containers; the engine restarts it if its policy says so."""
        running = [c for c in self.engine._containers.values() if c.facts.running]
        if not running:
            return None
        facts = running[int(random.random() * len(running))].facts
        self.befallen.add(facts.id)
        if self.engine.crash(facts.id):
            self.scheduler.after(random.choice((0.05, 1.0)), lambda: self.restart(facts.id))
        return facts.name

    def restart_engine(self, random: Random) -> None:
        """Let everything end with Docker, and begin again what it restarts always, also what was stopped: in any order."""
        containers = [one.facts for one in self.engine._containers.values()]
        for facts in containers:
            if facts.running:
                self.befallen.add(facts.id)
                self.engine.die(facts.id, exit_code=137)
        for facts in sorted(containers, key=lambda facts: random.random()):
            if self.engine.restarts_always(facts.id):
                self.engine.restarting.add(facts.id)
                self.restart(facts.id)

    def restart(self, container: str) -> None:
        """Let Docker restart it, if it can."""
        try:
            self.engine.restart(container)
        except EngineRefused as e:
            self.scheduler.tell(None, f"Docker could not restart it: {e}")


def short(value: object) -> str:
    """Return it for the story, on one line, the same in every run."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(short(item) for item in value)}]"[:120]
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(short(item) for item in value))}}}"[:120]
    name = next((getattr(value, key) for key in ("sentence", "version", "name", "kind") if hasattr(value, key)), None)
    if name is not None:
        return f"<{name}>"
    if callable(value) or isinstance(value, Iterator):
        return "…"
    text = str(value)
    return text[:12] if _LONG_ID.fullmatch(text) else text.replace("\n", " ")[:120]


_LONG_ID = re.compile("[0-9a-f]{64}")


def app_file(app: AppName, **keys: Any) -> AppFile:
    return _app_file(app, json.dumps(keys, sort_keys=True))


@cache
def _app_file(app: AppName, text: str) -> AppFile:
    keys = json.loads(text)
    base = {"image": f"acme/{app}", "port": 8080, "listen": 8000 + APPS.index(app), "drain": "200ms",
            "health": {"deadline": "1s", "rise": 2, "fall": 2}, **keys}
    return parse_app_spec(base, where=f"config/{app}.toml").judged(SPEC)


def engine_with_images(clock: FakeClock) -> SimulatedEngine:
    """Return an engine that has most images and can pull v4."""
    engine = SimulatedEngine(str(HOME), clock=clock)
    engine.behaviours.update(COMMANDS)
    for app in IMAGES:
        for number in range(1, 10):
            name = f"acme/{app}:v{number}"
            image = _runnable(name)
            if f"v{number}" in BEHAVIOURS:
                engine.behaviours[image.digest] = BEHAVIOURS[f"v{number}"]
            if number == 4:
                engine.images.publish(name, image)
            else:
                engine.images.add(name, image=image)
    return engine


def _runnable(name: str) -> Image:
    return replace(made_up(name), command=("serve",), ports=(8080,))


def engine_copy(engine: SimulatedEngine, clock: FakeClock) -> SimulatedEngine:
    """Return an engine in the same state that can go its own way."""
    other = SimulatedEngine(engine.home, clock=clock)
    other.images._here, other.images.registry = dict(engine.images._here), dict(engine.images.registry)
    other.networks_here.facts = dict(engine.networks_here.facts)
    other.behaviours, other._made, other._ran = engine.behaviours, engine._made, engine._ran
    other.volumes_here.here = {name: replace(volume) for name, volume in engine.volumes_here.here.items()}
    other._containers = {name: replace(c, log=list(c.log)) for name, c in engine._containers.items()}
    return other


def guard_copy(guard: FakeGuard) -> FakeGuard:
    other = FakeGuard()
    other.routes = set(guard.routes)
    other.believed = dict(guard.believed)
    other.ports = {bridge: set(macs) for bridge, macs in guard.ports.items()}
    return other


def secrets_copy(secrets: FakeSecrets) -> FakeSecrets:
    return replace(secrets, laid={place: dict(files) for place, files in secrets.laid.items()}, _current=dict(secrets._current),
                   _values={key: dict(values) for key, values in secrets._values.items()}, _lists=dict(secrets._lists))
