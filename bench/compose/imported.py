"""A project of five services, run by Docker Compose and by deployctl: what a new tag and a rollback cost its visitors.
And how long the import of a large project takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.compose.program import find_compose, project
from bench.table import Row
from bench.world import IMAGE, World
from deployctl.demo.visitors import Visitors
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.change.hold import unhold
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from tests import support
from tests.realapps.stores import STORES, loaded

RATE = 100.0  # requests a second
YES = ChangeOptions(confirmed=True)
APP = AppName("five")
LARGE = 57  # services


@dataclass
class Tool:
    """What one tool did in all rounds."""

    name: str
    forth: Callable[[], None]
    back: Callable[[], None]
    url: str
    lost: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)  # ms, longest without a good answer
    took: dict[str, list[float]] = field(default_factory=lambda: {"a new tag": [], "back again": []})

    def round(self) -> None:
        with Visitors(self.url, RATE) as visitors:
            for name, act in (("a new tag", self.forth), ("back again", self.back)):
                started = time.perf_counter()
                act()
                self.took[name].append((time.perf_counter() - started) * 1000)
            time.sleep(1)
        self.lost.append(visitors.count.lost)
        self.gaps.append(visitors.count.longest_gap_ms)

    def rows(self, *, promised: bool) -> list[Row]:
        lost = f"{self.name}: requests lost at {RATE:g}/s"
        return [Row(lost, "requests", self.lost, "0", "max", 0) if promised else Row(lost, "requests", self.lost),
                Row(f"{self.name}: longest time without an answer", "ms", self.gaps),
                *(Row(f"{self.name}: {what}", "ms", took) for what, took in self.took.items())]


def measure(world: World, *, rounds: int) -> list[Row]:
    compose = find_compose()
    if compose is None:
        return []
    return _five(world, compose, rounds) + _large(world, compose, rounds)


def _five(world: World, compose: str, rounds: int) -> list[Row]:
    engine = support.engine_address()
    with ExitStack() as stack:
        stores = {one.name: stack.enter_context(loaded(engine, one, "v1"))["v1"][0] for one in STORES if one.name != "web"}
        composed = stack.enter_context(project(compose, world.settings.home, engine))
        port = support.free_port()

        def up(version: str) -> None:
            composed.up(_services(port, version, stores), "--wait", volumes={"data": {}, "cache": {}})

        up("v1")
        s = stack.enter_context(closing(world.services()))
        url = _imported(world, stores)
        upgrade(APP, Version("v1"), s)
        tools = [Tool("docker compose up -d", lambda: up("v2"), lambda: up("v1"), f"http://127.0.0.1:{port}/"),
                 Tool("deployctl upgrade and rollback", lambda: _ignored(upgrade(APP, Version("v2"), s, options=YES)),
                      lambda: _back(s), url)]
        for _ in range(rounds):
            for tool in tools:
                tool.round()
    return [row for tool in tools for row in tool.rows(promised=tool is tools[1])]


def _ignored(_result: object) -> None:
    """Return nothing."""


def _back(s: Services) -> None:
    rollback(APP, s, options=YES)
    unhold(APP, Version("v2"), s)


def _services(port: int, version: str, stores: dict[str, str]) -> dict[str, Any]:
    image = f"{IMAGE}:{version}"
    asks = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz')"
    check = {"test": ["CMD", "/usr/bin/python3", "-ESs", "-c", asks], "interval": "1s", "retries": 30}
    return {
        "web": {"image": image, "ports": [f"127.0.0.1:{port}:8080"], "healthcheck": check,
                "depends_on": {"api": {"condition": "service_healthy"}}},
        "api": {"image": image, "expose": ["8080"], "healthcheck": check, "depends_on": ["db", "cache"]},
        "worker": {"image": image, "depends_on": ["api"]},
        "db": {"image": f"{stores['postgres']}:v1", "expose": ["5432"], "volumes": ["data:/data"], "user": "1000",
               "stop_signal": "SIGINT", "healthcheck": {"interval": "1s", "retries": 60, "test": [
                   "CMD", "/usr/lib/postgresql/15/bin/pg_isready", "-q", "-h", "127.0.0.1"]}},
        "cache": {"image": f"{stores['redis']}:v1", "expose": ["6379"], "volumes": ["cache:/data"]},
    }


def _imported(world: World, stores: dict[str, str]) -> str:
    """Import the same project, and return where the app listens."""
    folder, port = world.settings.home / "five", world.next_port
    world.next_port += 1
    folder.mkdir()
    text = {"name": APP, "services": _services(port, "v1", stores), "volumes": {"data": {}, "cache": {}}}
    (folder / "compose.json").write_text(json.dumps(text))
    subprocess.run([*_program(world), "import", "compose", "-f", "compose.json"], cwd=str(folder), check=True,
                   capture_output=True)
    return f"http://127.0.0.1:{port}/"


def _program(world: World) -> list[str]:
    return [str(Path(sys.executable).with_name("deployctl")), "--home", str(world.settings.home)]


def _large(world: World, compose: str, rounds: int) -> list[Row]:
    """Import a project of 57 services, beside Compose's own reading of it and one start of the command line."""
    folder = world.settings.home / "large"
    folder.mkdir()
    one = {"image": "example/app:1", "expose": ["8080"], "environment": {f"VARIABLE_{n}": "text" for n in range(20)}}
    services = {f"service-{n}": {**one, "depends_on": [f"service-{n - 1}"] if n else []} for n in range(LARGE)}
    services["service-0"] = {**one, "ports": ["127.0.0.1:18999:8080"]}
    (folder / "compose.json").write_text(json.dumps({"name": "large", "services": services}))
    imports, both = [], []
    for _ in range(4 * rounds):
        imports.append(_took([*_program(world), "import", "compose", "-f", "compose.json", "--check"], folder))
        read = _took([compose, "-f", "compose.json", "config", "--quiet"], folder)
        both.append(read + _took([*_program(world), "status"], folder))
    return [Row(f"import compose --check of {LARGE} services", "ms", imports),
            Row("docker compose config of it, and one deployctl status", "ms", both),
            Row("the import, of both together", "×", [sorted(imports)[len(imports) // 2] / sorted(both)[len(both) // 2]],
                "≤ 2", "max", 2)]


def _took(words: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(words, cwd=str(folder), capture_output=True, check=False, env=dict(os.environ))
    return (time.perf_counter() - started) * 1000
