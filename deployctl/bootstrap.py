"""The only place that builds the real outside world of a home."""

from __future__ import annotations

import os
import sys
from functools import partial

from deployctl.config.cache import load_judged_app, load_judged_apps, load_judged_server
from deployctl.config.loader import app_names
from deployctl.config.settings import Settings
from deployctl.domain.host.actor import Actor
from deployctl.domain.host.home import HomeIdentity
from deployctl.effects.docker.client import Belonging
from deployctl.effects.docker.engine import DockerEngine
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.http.prober import SocketProber
from deployctl.effects.kept_logs import LogFiles
from deployctl.effects.linux.file_trust import require_program as require_program
from deployctl.effects.linux.guard import LinuxGuard
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ledger.metrics_store import SqliteMetricsStore
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.paths import Path
from deployctl.ports import Services

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from deployctl.domain.host.leftovers import Remains
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.inputs.app_spec import AppFile
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.file.vault import Vault
    from deployctl.ports import Exclusion, Reporter, Secrets
    from deployctl.ports.compose import Compose
    from deployctl.ports.foreign import ForeignContainers, Imports
    from deployctl.ports.host_files import HostFiles

READ_TIMEOUT = 1.0  # seconds that a rollback waits for an engine that hangs
HANDS = 4  # containers that are started at once: it is the engine's CPU that they need, and more gain nothing


def services(settings: Settings, *, reporter: Reporter, actor: str) -> Services:
    """Return the services of that home; its state folder and ledger are created if missing.

    Raises Invalid (server.toml), NotPermitted (state folder) or LedgerUnusable.
    """
    settings.ensure_state()
    spec = load_judged_server(settings)  # its mistakes are reported before a ledger is created
    ledger = SqliteLedger.open(settings.ledger, settings.home, now=SystemClock().utc())
    try:
        return _services(settings, spec, ledger, reporter=reporter, actor=actor)
    except BaseException:  # DOCKER_HOST names no engine of this host: nobody else could close it
        ledger.close()
        raise


def services_over(ledger: SqliteLedger, settings: Settings, *, reporter: Reporter, actor: str) -> Services:
    """Return the services of that home over a ledger that is already open: one that is being rebuilt."""
    return _services(settings, load_judged_server(settings), ledger, reporter=reporter, actor=actor)


def _services(settings: Settings, spec: ServerSpec, ledger: SqliteLedger, *, reporter: Reporter, actor: str) -> Services:
    clock = SystemClock()
    home = ledger.identity
    secrets = partial(secret_files, settings, spec, home)
    engine = DockerEngine(home, spec, os.environ, read_timeout=READ_TIMEOUT, belonging=Belonging(
        home, lambda: ledger.engine, ledger.require_gone), hider=lambda: _hider(settings, secrets))
    bridged = reaches_bridges(spec, engine.address)
    return Services(
        home=settings.home, spec=spec, engine=engine,
        traffic=HaproxyTraffic(settings.haproxy_dir, spec, lambda: ledger.table(bridged=bridged), clock,
                               earlier=[Settings(Path(place)).haproxy_dir for place in home.earlier]),
        prober=SocketProber(), guard=LinuxGuard(),
        exclusion=lambda: _exclusion(settings), ledger=ledger, clock=clock, report=reporter, actor=Actor.of(actor),
        bridged=bridged,
        app_file=lambda app: _app_file(settings, app, spec, ledger),
        app_files=lambda: app_names(settings),
        judge_files=lambda: load_judged_apps(settings, spec, now=ledger.find_app),
        meter=SqliteMetricsStore(settings.metrics, warn=reporter.warn), kept_logs=LogFiles(settings.kept_logs),
        files=lambda: host_files(settings, engine.address), hands=HANDS,
        secrets=secrets, foreign=lambda: _foreign(spec), imports=lambda: _imports(settings),
    )


def _app_file(settings: Settings, app: AppName, spec: ServerSpec, ledger: SqliteLedger) -> AppFile:
    from deployctl.domain.inputs.names import owner_of

    owner = owner_of(app)
    return load_judged_app(settings, owner, spec, now=lambda: ledger.find_app(owner)).of(app)


def _foreign(spec: ServerSpec) -> ForeignContainers:
    from deployctl.effects.compose.containers import DockerForeigners
    from deployctl.effects.docker.client import DockerClient

    return DockerForeigners(DockerClient(spec, os.environ))


def _imports(settings: Settings) -> Imports:
    from deployctl.effects.compose.import_files import ImportFiles

    return ImportFiles(settings.state_dir / "imports")


def _exclusion(settings: Settings) -> Exclusion:
    from deployctl.effects.linux.exclusion import LinuxExclusion

    return LinuxExclusion(settings.state_dir)


def host_files(settings: Settings, engine: str) -> HostFiles:
    from deployctl.effects.host_files import KeptFiles

    return KeptFiles(settings.config_dir, settings.kept_files, engine.removeprefix("unix://"))


def secret_files(settings: Settings, spec: ServerSpec, home: HomeIdentity) -> Secrets:
    """Return the secrets of that home: neither Docker nor the ledger is needed for them."""
    from deployctl.effects.secrets.files import SecretFiles

    return SecretFiles.of(settings.state_dir, home_id=home.id, key_file=spec.secret_key, now=_utc)


def secrets_alone(settings: Settings) -> Secrets:
    """Return the secrets of a home whose ledger is not opened."""
    return secret_files(settings, load_judged_server(settings), find_identity(settings))


def compose_program(environ: Mapping[str, str]) -> Compose:
    """Return what reads Compose files."""
    from deployctl.effects.compose.program import ComposeProgram

    return ComposeProgram(environ)


def _hider(settings: Settings, secrets: Callable[[], Secrets]) -> Callable[[str], str] | None:
    return secrets().hider() if settings.secrets.exists() else None


def _utc(at: float | None) -> str:
    return SystemClock().utc() if at is None else SystemClock.written(at)


def has_ledger(settings: Settings) -> bool:
    """Return whether the home has a ledger, or had one that is lost."""
    from deployctl.ledger.file.opening import had_one

    return settings.ledger.exists() or had_one(settings.ledger)


def blank_ledger(settings: Settings) -> SqliteLedger:
    """Return a ledger in memory for reading a path where there is no home: nothing is created on disk."""
    from deployctl.ledger.file.blank import blank_ledger

    return blank_ledger(settings.ledger, settings.home, now=SystemClock().utc())


def vault(settings: Settings, *, make: bool) -> Vault:
    """Return the home's ledger as a file, intact or not. `make`: its folder is created if there is none."""
    from deployctl.ledger.file.vault import Vault

    if make or has_ledger(settings):
        settings.ensure_state()
    return Vault(settings.ledger, settings.home, now=SystemClock().utc())


def find_identity(settings: Settings) -> HomeIdentity:
    """Return the home's identity from the keys beside its ledger; by its path alone if there are none."""
    from deployctl.ledger.file.identity import find_keys

    keys = find_keys(settings.ledger)
    return HomeIdentity(str(settings.home), *(() if keys is None else (keys.id or "", bytes.fromhex(keys.secret), (),
                                                                        keys.marked_by)))


def remains(settings: Settings) -> Remains:
    """Return what HAProxy's files still contain when the ledger is lost."""
    from deployctl.effects.haproxy.config.leftovers import read_remains

    return read_remains(settings.haproxy_dir)


def find_port_holder(port: int) -> str | None:
    """Return which program listens there, e.g. "nginx (pid 812)"; None if it may not be read."""
    from deployctl.effects.linux import port_holder

    return port_holder.find_port_holder(port)


def lean_heap() -> AbstractContextManager[None]:
    """Keep the memory of this long-running process small while the block runs."""
    from deployctl.effects.linux import heap

    return heap.lean_heap()


def keep_copy(settings: Settings) -> None:
    """Back up the home's ledger to state/backups if that is due."""
    from deployctl.ledger.file.copies import keep_due_copy_of

    keep_due_copy_of(settings.ledger, at=SystemClock().utc())


def reaches_bridges(spec: ServerSpec, engine_address: str) -> bool:
    """Return whether this process can reach containers by their own addresses, with guard routes.

    That takes root (for the guard routes) and an engine in this host's own network: not a remote one, a rootless one or
    one in a virtual machine.
    """
    if spec.reach != "auto":
        return spec.reach == "bridge"
    local = engine_address.startswith("unix://")
    elsewhere = any(part in engine_address for part in ("/run/user/", "/.docker/", "/.colima/", "/.orbstack/"))
    return sys.platform == "linux" and os.geteuid() == 0 and local and not elsewhere
