"""What a command costs before it does anything, and what idle processes cost."""

from __future__ import annotations

import subprocess
import time

from bench.table import Row
from bench.world import COMMAND, Ran, World
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.upgrade import upgrade


def measure(world: World, *, rounds: int, apps: int) -> list[Row]:
    version = [_wall(*COMMAND, "--version") for _ in range(rounds)]
    upgrades = [_upgrade(world, i) for i in range(max(3, rounds // 3))]
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
        Row("upgrade, whole CLI process, less create, start and proof", "ms",
            [ran.ms - _spent(ran, "create", "start", "health") for ran in upgrades], "< 300", "median", 300),
        Row("of it the gate: asked through HAProxy, then named in its map", "ms",
            [_spent(ran, "gate") for ran in upgrades], "< 30", "median", 30),
        Row("peak memory of that process", "MB", [world.peak_mb("upgrade", "many-0", "v2")], "< 60", "max", 60),
    ]


def _upgrade(world: World, number: int) -> Ran:
    """Upgrade an app of its own from v1 to v2."""
    name = f"new-{number}"
    world.add_app(name)
    world.run("upgrade", name, "v1")
    return world.run("upgrade", name, "v2")


def _spent(ran: Ran, *kinds: str) -> float:
    """Return the milliseconds of the steps of those kinds."""
    return sum(float(step["ms"]) for step in ran.answer["steps"] if step["kind"] in kinds)


def _wall(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


