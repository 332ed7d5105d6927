"""A release of ten components: started at once, one after the other, and by `docker compose up -d --wait`; then rolled back."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from bench.compose.program import find_compose, project
from bench.table import Row
from bench.world import IMAGE, World
from deployctl.demo import stage
from deployctl.domain.change.plan import Step
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions

YES = ChangeOptions(confirmed=True)
REST = 1.5  # seconds between two rollbacks: the workers that the last one started boot for 1.0 s and take a core meanwhile
SERVES, WORKS, ENDS = "serves", "works", "ends"
# name → what it is, seconds that it boots (or runs, for a job), and what it needs
TEN: dict[str, tuple[str, float, dict[str, str]]] = {
    "web": (SERVES, 1.0, {"api1": "healthy"}),
    "db": (SERVES, 1.0, {}),
    "redis": (SERVES, 0.3, {}),
    "migrate": (ENDS, 1.0, {"db": "healthy"}),
    "api1": (SERVES, 1.5, {"migrate": "completed", "redis": "healthy"}),
    "api2": (SERVES, 1.5, {"migrate": "completed", "redis": "healthy"}),
    "worker1": (WORKS, 1.0, {"migrate": "completed", "redis": "started"}),
    "worker2": (WORKS, 1.0, {"migrate": "completed", "redis": "started"}),
    "mail": (SERVES, 0.5, {}),
    "scheduler": (WORKS, 0.5, {"db": "started"}),
}
CONDITIONS = {"started": "service_started", "healthy": "service_healthy", "completed": "service_completed_successfully"}
HEALTHZ = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=1)"


def measure(world: World, *, rounds: int, rollbacks: int) -> list[Row]:
    s, compose = world.services(), find_compose()
    s.engine.info()
    after: list[float] = []
    at_once: list[float] = []
    composed: list[float] = []
    for number in range(rounds):
        after.append(_upgrade(world, replace(s, hands=1), f"turn-{number}"))
        at_once.append(_upgrade(world, s, f"once-{number}"))
        composed += [_compose_up(world, compose)] if compose else []
    return [
        Row("upgrade to ten components, one after the other", "ms", after),
        Row("the same, started at once", "ms", at_once),
        Row("at once, of the time one after the other", "×", [_ratio(at_once, after)], "≤ 0.6", "max", 0.6),
        *([Row("docker compose up -d --wait of the same project", "ms", composed),
           Row("at once, of the time of docker compose", "×", [_ratio(at_once, composed)], "≤ 1.1", "max", 1.1)]
          if composed else []),
        *_rollbacks(world, s, rollbacks),
    ]


def _ratio(some: list[float], others: list[float]) -> float:
    return sorted(some)[len(some) // 2] / sorted(others)[len(others) // 2]


# -- deployctl ---------------------------------------------------------------------------------------------------------
def _upgrade(world: World, s: Services, name: str) -> float:
    app = AppName(name)
    _write(world, app)
    started = time.perf_counter()
    upgrade(app, Version("v1"), s)
    ms = (time.perf_counter() - started) * 1000
    remove_app(app, s, options=YES)
    world.settings.app_file(app).unlink()
    return ms


def _write(world: World, app: AppName) -> None:
    world.add_app(app)
    written = world.settings.app_file(app).read_text()
    port = next(int(line.split(" = ")[1]) for line in written.splitlines() if line.startswith("listen"))
    first, *others = TEN
    world.settings.app_file(app).write_text("\n".join([
        f'image = "{IMAGE}"', "port = 8080", f"listen = {port}", *_component(first),
        *(line for name in others for line in (f"[components.{name}]", *_kind(name), *_component(name)))]))


def _component(name: str) -> list[str]:
    needs = ", ".join(f'{one} = "{condition}"' for one, condition in TEN[name][2].items())
    health = {SERVES: '{ path = "/healthz", interval = "1s", rise = 1 }', WORKS: '{ uptime = "500ms" }'}.get(TEN[name][0])
    return [f"command = {json.dumps(_command(name))}", f"needs = {{ {needs} }}", *([f"health = {health}"] if health else [])]


def _kind(name: str) -> list[str]:
    return {SERVES: ["port = 8080"], WORKS: ['stop_grace = "2s"'], ENDS: ['kind = "job"']}[TEN[name][0]]


def _command(name: str) -> list[str]:
    kind, seconds, _ = TEN[name]
    if kind == ENDS:
        return ["-c", f"import time; time.sleep({seconds})"]
    return ["-c", f"import runpy, time; time.sleep({seconds}); runpy.run_path('/app/webapp.py', run_name='__main__')"]


# -- docker compose ----------------------------------------------------------------------------------------------------
def _compose_up(world: World, compose: str) -> float:
    with project(compose, world.settings.home, stage.engine(world.settings).address) as made:
        started = time.perf_counter()
        made.up({name: _service(name) for name in TEN}, "--wait")
        return (time.perf_counter() - started) * 1000


def _service(name: str) -> dict[str, Any]:
    kind, _, needs = TEN[name]
    service: dict[str, Any] = {
        "image": f"{IMAGE}:v1", "command": _command(name), "mem_limit": "512m", "cpus": 1.0, "pids_limit": 512,
        "depends_on": {one: {"condition": CONDITIONS[condition]} for one, condition in needs.items()}}
    if kind == SERVES:
        service["healthcheck"] = {"test": ["CMD", *_entrypoint(), "-c", HEALTHZ], "interval": "1s", "timeout": "2s",
                                  "retries": 60}
    return service


def _entrypoint() -> tuple[str, ...]:
    from deployctl.demo.python_layer import ENTRYPOINT

    return ENTRYPOINT


# -- rollback ----------------------------------------------------------------------------------------------------------
class _Switches(SilentReporter):
    """Notes when traffic was switched."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        if step.kind == "switch":
            self.at = time.perf_counter()


def _rollbacks(world: World, s: Services, count: int) -> list[Row]:
    """Roll back to a warm standby of ten components, and undo it."""
    app, told = AppName("back"), _Switches()
    _write(world, app)
    for version in ("v1", "v2"):
        upgrade(app, Version(version), s)
    s = replace(s, report=told)
    switched, workers = [], []
    for number in range(count):
        time.sleep(REST)
        started = time.perf_counter()
        (undo if number % 2 else rollback)(app, s, options=YES)
        switched.append((told.at - started) * 1000)
        workers.append((time.perf_counter() - told.at) * 1000)
    remove_app(app, s, options=YES)
    return [
        Row("rollback to a warm standby of ten components: switched, in process", "ms", switched, "p99 < 20", "p99", 20),
        Row("of it afterwards: its three workers started, the former three stopped", "ms", workers),
    ]
