"""A command line with screens of a chosen kind and a home whose outside world is in memory; only the ledger is real."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from deployctl.cli.main import run
from deployctl.cli.session import CommandCall
from deployctl.config.cache import load_judged_app, load_judged_apps
from deployctl.config.loader import app_names
from deployctl.config.settings import Settings
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.effects.host_files import KeptFiles
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import Reporter, Services
from deployctl.testing.compose.fake_foreign import FakeForeigners, FakeImports
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import FakeEngine
from deployctl.testing.fake_exclusion import FakeExclusion
from deployctl.testing.fake_guard import FakeGuard
from deployctl.testing.fake_logs import FakeKeptLogs
from deployctl.testing.fake_metrics import FakeMetrics
from deployctl.testing.fake_prober import FakeProber
from deployctl.testing.fake_secrets import FakeSecrets
from deployctl.testing.fake_traffic import FakeTraffic


class Screen(io.StringIO):
    """Text that was written to a stream of that kind."""

    def __init__(self, text: str = "", *, tty: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(text)
        self.tty, self.kind = tty, encoding

    def isatty(self) -> bool:
        return self.tty

    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO says None
        return self.kind


@dataclass(frozen=True)
class Said:
    """What one command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.out))

    @property
    def both(self) -> str:
        return self.out + self.err


@dataclass
class World:
    """One home. `deployctl("status", "-o", "json")` runs a command line in it."""

    home: Path
    environ: dict[str, str] = field(default_factory=lambda: {"HOME": "/nonexistent"})
    fails: BaseException | None = None  # raised instead of connecting
    connected: int = 0

    def __post_init__(self) -> None:
        self.settings = Settings(self.home)
        self.clock = FakeClock()
        self.engine = FakeEngine(str(self.home), clock=self.clock)
        self.exclusion = FakeExclusion(self.engine)
        self.guard, self.prober, self.meter = FakeGuard(), FakeProber(), FakeMetrics()
        self.kept_logs, self.secrets = FakeKeptLogs(), FakeSecrets()
        self.foreign, self.imports = FakeForeigners(), FakeImports()
        self.ledgers: list[SqliteLedger] = []
        self.traffic = FakeTraffic(lambda: self.ledgers[-1].table(bridged=True))

    def add_app(self, name: str, *versions: str, port: int = 8000) -> None:
        """Write the app's file and put images of these versions on the server."""
        self.settings.config_dir.mkdir(parents=True, exist_ok=True)
        self.settings.app_file(AppName(name)).write_text(
            f'image = "acme/{name}"\nport = 80\nlisten = {port}\n'
            'command = ["serve"]\n')
        for version in versions:
            self.engine.images.add(f"acme/{name}:{version}")

    def connect(self, settings: Settings, reporter: Reporter) -> Services:
        self.connected += 1
        if self.fails is not None:
            raise self.fails
        settings.ensure_state()
        ledger = SqliteLedger.open(settings.ledger, settings.home, now=self.clock.utc())
        self.ledgers.append(ledger)
        return self.services_over(ledger, settings, reporter)

    def connect_over(self, settings: Settings, reporter: Reporter) -> Callable[[SqliteLedger], Services]:
        if self.fails is not None:
            raise self.fails
        return lambda ledger: self.services_over(ledger, settings, reporter)

    def services_over(self, ledger: SqliteLedger, settings: Settings, reporter: Reporter) -> Services:
        spec = ServerSpec()
        return Services(
            home=settings.home, spec=spec, engine=self.engine, traffic=self.traffic, prober=self.prober,
            guard=self.guard, exclusion=lambda: self.exclusion,
            ledger=ledger, clock=self.clock, report=reporter, actor=Actor("mara", Via.CLI), bridged=True,
            app_file=lambda app: load_judged_app(
                settings, owner_of(app), spec, now=lambda: ledger.find_app(owner_of(app))).of(app),
            app_files=lambda: app_names(settings),
            judge_files=lambda: load_judged_apps(settings, spec, now=ledger.find_app),
            meter=self.meter, kept_logs=self.kept_logs,
            files=lambda: KeptFiles(settings.home / "config", settings.home / "state/files"),
            secrets=lambda: self.secrets,
            foreign=lambda: self.foreign, imports=lambda: self.imports,
        )  # fmt: skip

    def deployctl(self, *argv: str, tty: bool = False, typed: str | None = None, encoding: str = "utf-8",
                  environ: Mapping[str, str] | None = None) -> Said:
        """Run it. `typed` is what the person types; without it nobody is there to ask."""
        out, err = Screen(tty=tty, encoding=encoding), Screen(tty=tty or typed is not None, encoding=encoding)
        session = CommandCall(connect=self.connect, connect_over=self.connect_over, out=out, err=err,
                          stdin=Screen(typed or "", tty=typed is not None),
                          environ={**self.environ, **(environ or {})}, cwd=self.home, home=str(self.home))
        code = run(argv, session)
        return Said(code, out.getvalue(), err.getvalue())


@contextmanager
def world(home: Path) -> Iterator[World]:
    made = World(home.resolve())
    try:
        yield made
    finally:
        for ledger in made.ledgers:
            ledger.close()


@contextmanager
def shop(home: Path, *versions: str) -> Iterator[World]:
    """One app, shop, with images v1 to v4 and these versions deployed in turn."""
    with world(home) as made:
        made.add_app("shop", "v1", "v2", "v3", "v4")
        for version in versions:
            assert made.deployctl("upgrade", "shop", version).code == 0
        yield made
