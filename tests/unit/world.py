"""A home whose outside world is in memory; only its ledger is real. Use cases are called as a person would type them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deployctl.config.app import parse_app_spec
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.host.actor import Actor
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName, Version, owner_of
from deployctl.effects.host_files import KeptFiles
from deployctl.errors import DeployctlError, NotFound
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import Image, ProbeAnswer, Reporter, Services
from deployctl.testing.compose.fake_foreign import FakeForeigners, FakeImports
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import FakeEngine
from deployctl.testing.fake_exclusion import FakeExclusion
from deployctl.testing.fake_guard import FakeGuard
from deployctl.testing.fake_images import made_up
from deployctl.testing.fake_logs import FakeKeptLogs
from deployctl.testing.fake_metrics import FakeMetrics
from deployctl.testing.fake_prober import AskedProbe, FakeProber, Reply
from deployctl.testing.fake_secrets import FakeSecrets
from deployctl.testing.fake_traffic import FakeTraffic
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import ChangeOptions

SHOP = AppName("shop")
V1, V2, V3, V4 = (Version(f"v{n}") for n in range(1, 5))
YES = ChangeOptions(confirmed=True)
_AT = """select coalesce(i.container, i.name), r.version, i.component from instances i
join releases r on r.app = i.app and r.number = i.release where i.address = ?"""


class Told(Reporter):
    """Remembers what a person would have seen."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.begun: list[Step] = []
        self.ended: list[tuple[Step, bool]] = []
        self.details: list[str] = []
        self.warnings: list[str] = []

    def plan(self, plan: Plan) -> None:
        self.plans.append(plan)

    def begin(self, step: Step) -> None:
        self.begun.append(step)

    def detail(self, text: str, step: Step | None = None) -> None:
        self.details.append(text)

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        self.ended.append((step, ok))

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class World:
    def __init__(self, home: Path) -> None:
        self.home, self.spec = home, ServerSpec()
        self.clock, self.guard, self.told, self.meter = FakeClock(), FakeGuard(), Told(), FakeMetrics()
        self.kept_logs, self.secrets, self.engine_socket = FakeKeptLogs(), FakeSecrets(), ""
        self.foreign, self.imports = FakeForeigners(), FakeImports()
        self.engine = FakeEngine(str(home), clock=self.clock)
        self.exclusion = FakeExclusion(self.engine)
        self.ledger = self.open_ledger()
        self.engine.known = lambda: self.ledger.engine
        self.traffic = FakeTraffic(lambda: self.ledger.table(bridged=True))
        self.traffic.ensure_up()
        self.prober = FakeProber(self._answer)
        self.sick: dict[str, Reply] = {}  # version, or version and component → what its instances say instead of 200
        self.files: dict[AppName, dict[str, Any]] = {}
        self.add_file(SHOP)

    def open_ledger(self) -> SqliteLedger:
        path = self.home / "ledger.db"
        if not path.exists():
            _write_fresh(path)
        return SqliteLedger.open(path, self.home, now=self.clock.utc())

    @contextmanager
    def beside(self) -> Iterator[Services]:
        """Yield the services of another process of this home; its connection ends with the block."""
        s = self.services(ledger=self.open_ledger())
        try:
            yield s
        finally:
            s.close()

    def services(self, *, actor: str = "mara (cli)", ledger: SqliteLedger | None = None) -> Services:
        return Services(
            home=self.home, spec=self.spec, engine=self.engine, traffic=self.traffic, prober=self.prober,
            guard=self.guard, exclusion=lambda: self.exclusion,
            ledger=ledger or self.ledger, clock=self.clock, report=self.told, actor=Actor.of(actor),
            bridged=True, app_file=self._file, app_files=lambda: list(self.files),
            judge_files=lambda: {app: self._judged(app) for app in self.files},
            meter=self.meter, kept_logs=self.kept_logs,
            files=lambda: KeptFiles(self.home / "config", self.home / "state/files", self.engine_socket),
            secrets=lambda: self.secrets,
            foreign=lambda: self.foreign, imports=lambda: self.imports,
        )  # fmt: skip

    @property
    def s(self) -> Services:
        return self.services()

    # -- what people prepare ----------------------------------------------------------------------------------------
    def add_file(self, app: AppName, **keys: Any) -> None:
        """Write the app's file; images of versions v1 to v9 are on this server. What is bad is given up soon."""
        self.files[app] = {"image": f"acme/{app}", "port": 8080, "listen": 8000 + len(self.files),
                           "health": {"deadline": "5s"}, **keys}
        for number in range(1, 10):
            name = f"acme/{app}:v{number}"
            if self.engine.images.find(name) is None:
                self.engine.images.add(name, image=runnable(name))

    def edit(self, **keys: Any) -> None:
        """Change keys of the shop's file."""
        self.files[SHOP].update(keys)

    def _judged(self, app: AppName) -> AppFile | DeployctlError:
        try:
            return self._file(app)
        except DeployctlError as e:
            return e

    def _file(self, app: AppName) -> AppFile:
        owner = owner_of(app)
        if owner not in self.files:
            raise NotFound(f"config/{owner}.toml does not exist.")
        return parse_app_spec(self.files[owner], where=f"config/{owner}.toml").judged(ServerSpec()).of(app)

    def _answer(self, asked: AskedProbe) -> Reply:
        """Answer as the container at that address; asked from many threads at once, so with a connection of its own."""
        with closing(sqlite3.connect(f"{(self.home / 'ledger.db').as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute(_AT, [asked.address]).fetchall()
        several = rows if rows[1:] else ()
        found = next((row for row in several if self._runs(row[0])), rows[0] if rows else None)
        if found is None:
            return "connection refused"
        container, version, component = found
        alone = f"{version} {component}"
        return self._health(container, alone if alone in self.sick else version)

    def _runs(self, container: str) -> bool:
        """Return whether its program runs: of several versions that have one address in turn, it is the one that answers."""
        seen = None if self.engine.away else self.engine.find_container(container)
        return seen is not None and seen.running and not self.engine.is_waiting(seen.id)

    def _health(self, container: str, version: str) -> Reply:
        seen = None if self.engine.away else self.engine.find_container(container)
        if self.engine.away is None and not (seen and seen.running):
            return ProbeAnswer(ok=False, sentence="connection refused")
        return self.sick.get(version, 200)

    # -- what people type -------------------------------------------------------------------------------------------
    def upgrade(self, version: str, *, env: Mapping[str, str] | None = None, **options: Any) -> Moved:
        return upgrade(SHOP, Version(version), self.s, options=ChangeOptions(**options), env=env)

    def upgraded(self, *versions: str) -> World:
        for version in versions:
            self.upgrade(version)
        return self

    def rollback(self, version: str | None = None, *, confirmed: bool = True, **options: Any) -> Moved:
        named = None if version is None else Version(version)
        return rollback(SHOP, self.s, version=named, options=ChangeOptions(confirmed=confirmed, **options))

    def undo(self, *, confirmed: bool = True, **options: Any) -> Moved:
        return undo(SHOP, self.s, options=ChangeOptions(confirmed=confirmed, **options))

    def use(self, verb: Any, *words: Any, **options: Any) -> Done:
        """Call start, stop, hold, unhold, prune, abort or remove_app of the shop; questions are answered yes."""
        done: Done = verb(SHOP, *words, self.s, options=ChangeOptions(**{"confirmed": True, **options}))
        return done

    # -- what is so -------------------------------------------------------------------------------------------------
    @property
    def serving(self) -> str | None:
        """The version that HAProxy sends the shop's traffic to."""
        number = self.traffic.routes().get(SHOP)
        return None if number is None else self.version(number)

    @property
    def active(self) -> str | None:
        app = self.ledger.find_app(SHOP)
        return None if app is None or app.active is None else self.version(app.active)

    def version(self, number: int) -> str:
        release = self.ledger.find_release(SHOP, number)
        return "gone" if release is None else release.version

    def release(self, version: str) -> Release:
        return next(r for r in self.ledger.releases(SHOP) if r.version == version)

    def held(self) -> set[str]:
        return {str(r.version) for r in self.ledger.releases(SHOP) if r.hold}

    def containers(self) -> dict[str, str]:
        """Return the state of each container of the shop by its version: running or stopped."""
        mine = [c for c in self.engine.containers() if c.labels.get("deployctl.app") == SHOP]
        return {c.labels["deployctl.version"]: "running" if c.running else "stopped" for c in mine}

    def running(self) -> set[str]:
        return {version for version, state in self.containers().items() if state == "running"}

    def everything(self) -> dict[str, object]:
        """Return all that a change could touch, to be compared with itself later."""
        return {
            "apps": self.ledger.apps(),
            "releases": self.ledger.releases(SHOP),
            "instances": self.ledger.instances(),
            "history": self.ledger.changes(SHOP),
            "routes": self.traffic.routes(),
            "containers": sorted(self.engine.containers(), key=lambda c: c.name),
            "networks": sorted(n.name for n in self.engine.networks()),
            "guards": sorted(self.guard.routes),
        }


@cache
def _fresh_ledger() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        SqliteLedger.open(path, path.parent, now="2026-01-01T00:00:00.000Z").close()
        return path.read_bytes()


def _write_fresh(path: Path) -> None:
    """Write an empty ledger of that home: a copy is quicker than making each one."""
    path.write_bytes(_fresh_ledger())
    db = sqlite3.connect(path)
    db.execute("update identity set home = ?", [str(path.parent)])
    db.commit()
    db.close()


def runnable(name: str) -> Image:
    plain = made_up(name)
    return Image(plain.digest, plain.architecture, plain.os, plain.size, command=("serve",), ports=(8080,))


def wish_of_before(note: str, **more: Any) -> ChangeOptions:
    """Return a wish whose note nobody judged: ledgers of earlier builds hold what people typed as they typed it."""
    options = ChangeOptions(**more)
    object.__setattr__(options, "note", note)
    return options


@contextmanager
def world(home: Path) -> Iterator[World]:
    made = World(home)
    try:
        yield made
    finally:
        made.ledger.close()

