"""What a command costs before it does anything, and what runs idle costs."""

from __future__ import annotations

import subprocess
import time

from bench.table import Row
from bench.world import COMMAND, World
from deployctl.domain.names import AppName, Version
from deployctl.usecases.upgrade import upgrade


def measure(world: World, *, rounds: int, apps: int) -> list[Row]:
    version = [_wall(*COMMAND, "--version") for _ in range(rounds)]
    upgrades = [_upgrade_overhead(world, i) for i in range(max(3, rounds // 3))]
    s = world.services()
    for i in range(apps):
        name = AppName(f"many-{i}")
        world.add_app(name)
        upgrade(name, Version("v1"), s)
    status = [world.run("status") for _ in range(rounds)]
    return [
        Row("deployctl --version", "ms", version, "< 100", "median", 100),
        Row(f"status with {len(s.ledger.apps())} apps, whole CLI process", "ms", [r.ms for r in status], "< 300",
            "median", 300),
        Row("peak memory of that process", "MB", [world.peak_mb("status")], "< 60", "max", 60),
        Row("upgrade, whole CLI process, less create, start and proof", "ms", upgrades, "< 300",
            "median", 300),
        Row("peak memory of that process", "MB", [world.peak_mb("upgrade", "many-0", "v2")], "< 60", "max", 60),
    ]


def _upgrade_overhead(world: World, number: int) -> float:
    """Return what the process of an upgrade takes beside the container's own create, start and proof."""
    name = f"new-{number}"
    world.add_app(name)
    world.run("upgrade", name, "v1")
    ran = world.run("upgrade", name, "v2")
    boot = sum(step["ms"] for step in ran.answer["steps"] if step["kind"] in {"create", "start", "health"})
    return float(ran.ms - boot)


def _wall(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


