"""How long a rollback takes: warm in process (quiet, and beside a busy engine), as a whole CLI process, and cold."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.table import Row
from bench.world import IMAGE, World
from deployctl.demo import stage
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions

BUSY = """
import signal, sys, uuid
from docker import APIClient
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
api = APIClient(base_url=sys.argv[1], version="auto")
print("started", flush=True)
while not over:
    name = "deployctl-bench-" + uuid.uuid4().hex[:8]
    made = api.create_container(sys.argv[2], name=name, labels={"deployctl.bench": "1"})
    api.start(made["Id"])
    api.remove_container(made["Id"], force=True)
"""


def measure(world: World, *, rounds: int, cli_rounds: int) -> list[Row]:
    app = AppName("back")
    world.add_app(app, extra="keep_warm = 1")
    s = world.services()
    for version in ("v1", "v2"):
        upgrade(app, Version(version), s)
    quiet = [_once(app, world) for _ in range(rounds)]
    with busy_engine(world):
        busy = [_once(app, world) for _ in range(rounds)]
    cli = [_cli_once(world, app) for _ in range(cli_rounds)]
    cold = [_cold_once(world, app) for _ in range(max(3, cli_rounds // 5))]
    return [
        Row("rollback to a warm standby, in process, quiet", "ms", quiet, "p99 < 20", "p99", 20),
        Row("the same, while containers are created beside", "ms", busy, "p99 < 60", "p99", 60),
        Row("rollback to a warm standby, whole CLI process", "ms", cli, "median < 250", "median", 250),
        Row("peak memory of that process", "MB", [_cli_memory(world, app)], "< 60", "max", 60),
        Row("rollback to a stopped one, less its start and proof", "ms", cold, "< 1,000", "max", 1000),
    ]


def _once(app: AppName, world: World) -> float:
    """Roll back and undo, each with services of its own, as two commands would have; return the rollback's total."""
    s = world.services()
    moved = rollback(app, s)
    undo(app, s)
    return moved.total_ms


def _cli_once(world: World, app: AppName) -> float:
    ran = world.run("rollback", app)
    undo(app, world.services())
    return ran.ms


def _cli_memory(world: World, app: AppName) -> float:
    peak = world.peak_mb("rollback", app)
    undo(app, world.services())
    return peak


def _cold_once(world: World, app: AppName) -> float:
    """Return what a rollback to a stopped release takes on top of starting it and checking its health."""
    s = world.services()
    stop(app, Version("v1"), s)
    moved = rollback(app, s, options=ChangeOptions(confirmed=True))
    boot = sum(step.ms for step in moved.steps if step.kind in {"start", "health"})
    undo(app, s, options=ChangeOptions(confirmed=True))
    return moved.total_ms - boot


@contextmanager
def busy_engine(world: World) -> Iterator[None]:
    """Create, start and remove containers in a separate process, one after the other."""
    address = stage.engine(world.settings).address
    child = subprocess.Popen([sys.executable, "-I", "-c", BUSY, address, f"{IMAGE}:v1"], stdout=subprocess.PIPE)
    try:
        if child.stdout is None or not child.stdout.readline():
            raise RuntimeError("the busy neighbour did not start")
        time.sleep(1)
        yield
    finally:
        child.terminate()  # it removes what it created last
        child.wait(timeout=30)
