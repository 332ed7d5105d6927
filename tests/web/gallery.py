"""The dashboard in each state that it knows: homes in memory behind the real web server, each one a moment of an app's life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployctl.domain.host.access import Role, given
from deployctl.domain.inputs.names import AppName
from deployctl.errors import Aborted, NotHealthy
from deployctl.ports import LogLine
from deployctl.ports.metrics import Now, Point
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user
from deployctl.usecases.change.hold import hold
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from tests.unit.web_wire import served_site
from tests.unit.web_world import Site
from tests.unit.world import SHOP, V1, V2, V3, YES, runnable

MB = 1024 * 1024
STEP = 0.05  # seconds that a second of a home that deploys takes


def traffic(site: Site) -> None:
    """Let it have been measured for a quarter of an hour, and let containers have printed something."""
    w, now = site.w, time.time()
    for release, share, bad in ((1, 0.0, 0), (2, 200.0, 3)):
        site.meter.shown.setdefault(SHOP, {})[release] = Now(
            now, requests_per_s=share, answers_5xx_per_s=bad / 10, response_ms=14.0, cpu_percent=38.0 if share else 1.0,
            memory=212 * MB, memory_limit=512 * MB, restarts=0)
    w.meter.add([Point(SHOP, 2 if n < 60 else 1, int(now) // 10 * 10 - 10 * n, 10, requests=2000 + 40 * (n % 9),
                       answers_2xx=1990, answers_5xx=n % 7, response_ms=12.0 + n % 5) for n in range(90)])
    for container in w.engine.containers():
        log = w.engine._require(container.id).log
        log += [LogLine(w.clock.utc(), "stdout", f"INFO GET /cart 200 {n} ms") for n in range(20)]
        log.append(LogLine(w.clock.utc(), "stderr", "ERROR RuntimeError: DATABASE_URL is not set"))


def people(site: Site) -> None:
    add_user("jonas", given(Role.DEPLOYER, ["shop"]), site.w.s)
    create_token("deploy-main", given(Role.DEPLOYER, []), site.w.s)


def degraded(site: Site) -> None:
    site.w.sick["v2"] = 503


def down(site: Site) -> None:
    site.w.engine.die(next(c.id for c in site.w.engine.containers() if c.labels["deployctl.version"] == "v2"))


def failed(site: Site) -> None:
    site.w.sick["v3"] = 503
    with suppress(NotHealthy):
        site.w.upgrade("v3", note="new checkout flow")


def on_hold(site: Site) -> None:
    site.w.rollback(note="checkout 500s")
    hold(SHOP, V1, site.w.s, options=ChangeOptions("cart totals wrong", confirmed=True))


def stopped(site: Site) -> None:
    stop(SHOP, V2, site.w.s, options=YES)


def cold(site: Site) -> None:
    stop(SHOP, V1, site.w.s, options=YES)


def in_parts(site: Site) -> None:
    """Let it have replicas, workers, and two databases of which one is ill."""
    w = site.w
    for image in ("postgres:16", "redis:7"):
        w.engine.images.add(image, image=runnable(image))
    w.edit(replicas=2, components={
        "worker": {"command": ["work"], "health": {"uptime": "1s"}, "replicas": 3},
        "db": {"kind": "backing", "image": "postgres:16", "port": 5432, "mounts": ["data:/var/lib/postgresql/data"]},
        "cache": {"kind": "backing", "image": "redis:7", "port": 6379}})
    w.upgraded("v3")
    w.sick["16"] = "connection refused"


def docker_away(site: Site) -> None:
    site.w.engine.away = "connection refused"


def drifted(site: Site) -> None:
    site.w.traffic.flip(SHOP, 1)
    site.w.traffic.edit("somebody set server shop/1 to weight 10")


@contextmanager
def deploying(site: Site) -> Iterator[None]:
    """Have v3 being checked for as long as the block runs: a second of its clock takes a moment of ours."""
    w, sleep, over = site.w, site.w.clock.sleep, threading.Event()

    def slowly(seconds: float) -> None:
        if over.wait(STEP):
            return
        sleep(min(seconds, 0.01))

    w.edit(health={"deadline": "600s"})
    w.sick["v3"] = 503
    w.clock.sleep = slowly  # type: ignore[method-assign]
    job = site.web_state.jobs.begin("upgrade", SHOP, "jonas (web)",
                               lambda s: upgrade(SHOP, V3, s, options=ChangeOptions("new checkout flow")))
    end = time.monotonic() + 10
    while "the health of" not in job.step:
        assert time.monotonic() < end, (job.step, job.error)
        time.sleep(0.02)
    try:
        yield
    finally:
        with suppress(Aborted):
            w.ledger.ask_abort(SHOP, actor="mara (cli)")
            job.wait(10)
        over.set()
        w.clock.sleep = sleep  # type: ignore[method-assign]


STATES: dict[str, tuple[tuple[str, ...], Callable[[Site], None]]] = {
    "healthy": (("v1", "v2"), lambda _site: None),
    "degraded": (("v1", "v2"), degraded),
    "down": (("v1", "v2"), down),
    "failed deploy": (("v1", "v2"), failed),
    "on hold": (("v1", "v2"), on_hold),
    "serves nobody": (("v1", "v2"), stopped),
    "no warm standby": (("v1", "v2"), cold),
    "only one version": (("v1",), lambda _site: None),
    "in parts": (("v1", "v2"), in_parts),
    "Docker away": (("v1", "v2"), docker_away),
    "drifted": (("v1", "v2"), drifted),
    "many versions": (tuple(f"v{n}" for n in range(1, 9)), lambda _site: None),
}


@contextmanager
def in_state(home: Path, name: str) -> Iterator[Site]:
    """Yield a site whose app is in that state."""
    versions, lead = STATES[name]
    with served_site(home, *versions) as site:
        traffic(site)
        people(site)
        lead(site)
        yield site


@contextmanager
def empty_home(home: Path) -> Iterator[Site]:
    """Yield a site without any app; with a file of one the first deployment is offered."""
    with served_site(home) as site:
        site.w.files.clear()
        yield site


@contextmanager
def not_deployed(home: Path) -> Iterator[Site]:
    with served_site(home) as site:
        site.w.add_file(AppName("blog"))
        yield site
