"""The system checks: each problem of this server, with the one command that fixes it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator

from deployctl.config.settings import Settings
from deployctl.domain.host.access import roles_text, rules_server
from deployctl.domain.host.networks import cut
from deployctl.errors import DeployctlError
from deployctl.paths import Path
from deployctl.ports import Services
from deployctl.usecases.listings import Finding
from deployctl.usecases.setup.doctor_containers import containers
from deployctl.usecases.setup.doctor_dashboard import dashboard
from deployctl.usecases.setup.doctor_engine import LITTLE_SPACE, engine
from deployctl.usecases.setup.doctor_secrets import secrets
from deployctl.usecases.view.status import other_homes

YEAR_2024 = 1_704_067_200  # a clock before that was never set


def doctor(settings: Settings, build: Callable[[], Services], *, exists: bool = True) -> list[Finding]:
    """Return one finding for each thing that a change needs. Changes nothing except starting a dead HAProxy, and
    creates no home if none `exists`."""
    found = _machine(settings.home)
    try:
        s = build()
    except DeployctlError as e:
        return [*found, Finding("ledger", ok=False, message=e.message, fix=next(iter(e.remedy), None))]
    if not exists:
        return [*found, *_no_home(s), *_checked(s, but=(_proxy, _fronts))]
    return [*found, _whole_ledger(s), *_checked(s)]


def findings(s: Services) -> list[Finding]:
    """Return the findings of a home that is already open."""
    return [*_machine(s.home), _ledger(s), *_checked(s)]


def _ledger(s: Services) -> Finding:
    apps = len(s.ledger.apps())
    return Finding("ledger", ok=True, message=f"{Settings(s.home).ledger}, {apps} app{'' if apps == 1 else 's'}")


def _whole_ledger(s: Services) -> Finding:
    """Check every page and every link of the chain: what is never read may be damaged, too."""
    try:
        faults = [*s.ledger.damages(), *s.ledger.find_faults()]
    except DeployctlError as e:
        return Finding("ledger", ok=False, message=e.message, fix=next(iter(e.remedy), None))
    return Finding("ledger", ok=False, message=faults[0], fix="deployctl ledger verify") if faults else _ledger(s)


def _no_home(s: Services) -> Iterator[Finding]:
    """Yield what is known of a path without a ledger; no HAProxy is started there, but one may be running."""
    pid = s.traffic.pid()
    if pid is not None:
        yield Finding("HAProxy", ok=False, fix="deployctl ledger rebuild",
                      message=f"pid {pid} serves this home, whose ledger and files are gone")
    others = "".join(f"; {home.path} has {home.containers} containers on this engine" for home in other_homes(s))
    yield Finding("home", ok=not others, fatal=False, message=f"no ledger in {s.home} yet{others}",
                   fix="deployctl --home DIR doctor")


def _machine(home: Path) -> list[Finding]:
    return [_python(), _clock(), _space(home)]


Check = Callable[[Services], Iterator[Finding]]


def _checked(s: Services, *, but: tuple[Check, ...] = ()) -> list[Finding]:
    checks: tuple[Check, ...] = (engine, containers, _proxy, _fronts, _strays, _network, _files, _deployments, dashboard,
                                 _tokens, secrets)
    return [finding for check in checks if check not in but for finding in _safely(check, s)]


def _safely(check: Check, s: Services) -> list[Finding]:
    try:
        return list(check(s))
    except DeployctlError as e:
        return [Finding(check.__name__.strip("_"), ok=False, message=e.message, fix=next(iter(e.remedy), None))]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", ok=sys.version_info >= (3, 11), message=version, fix="install Python 3.11 or newer")


def _clock() -> Finding:
    return Finding("clock", ok=time.time() > YEAR_2024, message=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                   fix="sudo timedatectl set-ntp true")


def _space(home: Path) -> Finding:
    folder = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", ok=free > LITTLE_SPACE, message=f"{free / 2**30:.1f} GiB free at {folder}", fix="docker image prune")


def _proxy(s: Services) -> Iterator[Finding]:
    started = s.traffic.ensure_up()
    closed = sum(counted.closed for counted in s.traffic.counters().values())
    yield Finding("HAProxy", ok=True, message=f"pid {s.traffic.pid()}" + (", had died and was restarted" if started else "")
                  + (f"; its reloads have closed {closed} long connections (deployctl status)" if closed else ""))
    for frail in s.traffic.frailties():
        yield Finding(f"HAProxy's {frail.code}", ok=False, fatal=False, message=frail.text, fix=frail.remedy)
    for sentence in s.traffic.drift():
        yield Finding("drift", ok=False, message=sentence, fix="deployctl reconcile", fatal=False)


def _fronts(s: Services) -> Iterator[Finding]:
    for app, front in s.traffic.dropped_fronts().items():
        yield Finding("forwarded headers", ok=False, fatal=False, message=front.text(app), fix=front.remedy(app))


def _strays(s: Services) -> Iterator[Finding]:
    """Yield each HAProxy on this server whose home no longer exists at the path it was started from: it routes traffic,
    and nothing manages it. Only a warning: this home works without it, and its owner may not own the other one."""
    for stray in s.traffic.strays():
        yield Finding("HAProxy", ok=False, fatal=False, code="home_gone",
                      fix=f"kill -USR1 {stray.pid}   # once it is no longer needed",
                      message=f"another one (pid {stray.pid}) still serves from {stray.config}, which no longer exists: "
                              "no home controls it")


def _network(s: Services) -> Iterator[Finding]:
    if not s.bridged:
        yield Finding("reach", ok=True, fatal=False,
                      message="containers are reached by published ports (about half as fast) and their addresses are not "
                           "pinned: not root, or a remote engine")
        return
    subnet, *_ = cut(s.spec.pool, [*s.guard.routed_subnets(), *(network.subnet for network in s.ledger.networks())])
    yield Finding("network pool", ok=True, message=f"{s.spec.pool}, next free {subnet}")
    if not s.guard.may_pin():
        yield Finding("addresses", ok=False, fatal=False, code="not_pinned",
                      message="are not pinned to their containers, which requires CAP_NET_ADMIN: a container with NET_RAW on "
                           "an app's network can respond in place of the live version")
    apps = {app.name: app for app in s.ledger.apps()}
    for app, bridge in sorted({(i.app, apps[i.app].network_of(i).bridge) for i in s.ledger.instances()}):
        if not s.guard.bridge_up(bridge):
            yield Finding("bridge", ok=False, message=f"{bridge} of {app} is missing or down: its clients get 503",
                          fix="sudo systemctl restart docker")


def _tokens(s: Services) -> Iterator[Finding]:
    """Yield tokens created before the rule that they end with their creator."""
    admins, now = {user.name for user in s.ledger.users() if rules_server(user.roles)}, s.clock.utc()
    for one in s.ledger.tokens():
        if one.owner is not None and one.owner not in admins and one.state(now) == "in_use":
            yield Finding("token", ok=False, fatal=False, fix=f"deployctl token revoke {one.name}",
                          message=f"{one.name} ({roles_text(one.roles)}) is still valid, but {one.owner}, who created it, is "
                               "no longer an admin")


def _files(s: Services) -> Iterator[Finding]:
    for app, found in sorted(s.judge_files().items()):
        if isinstance(found, DeployctlError):
            yield Finding(f"config/{app}.toml", ok=False, message=found.message, fix=next(iter(found.remedy), None))
        else:
            yield Finding(f"config/{app}.toml", ok=True, message="valid")


def _deployments(s: Services) -> Iterator[Finding]:
    for opened in s.ledger.open_deployments():
        if s.ledger.find_lease(opened.app) is None:
            yield Finding("deployment", ok=False,
                          message=f"{opened.kind} of {opened.app} was interrupted in phase {opened.phase}",
                          fix=f"deployctl abort {opened.app}")
