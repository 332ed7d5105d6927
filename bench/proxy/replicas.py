"""What replicas cost and what they are worth: CPU of HAProxy for each request, and a replica that is killed and stays dead.

The CPU is measured in turns, so that a figure is of neighbours in time; the dead replica is one of three real containers.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.proxy.one_app import OneApp
from bench.table import Row
from bench.world import World
from deployctl.demo.visitors import Visitors
from deployctl.domain.images.component import WEB, InstanceId
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.upgrade import upgrade

APP = AppName("several")
RATE = 400.0  # requests a second
REPLICAS = 3


def measure(world: World, *, rounds: int, bursts: int, requests: int, visits: int) -> list[Row]:
    return [*_cpu(rounds=rounds, bursts=bursts, requests=requests), *_one_dies(world, visits)]


def _cpu(*, rounds: int, bursts: int, requests: int) -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dctl-bench-")))
        one, several = OneApp(stack, folder / "one"), OneApp(stack, folder / "several", replicas=REPLICAS)
        beside = OneApp(stack, folder / "beside", beside=True)
        turns = [[(one.cpu(requests), several.cpu(requests), beside.cpu(requests)) for _ in range(bursts)]
                 for _ in range(rounds)]
    first, second, third = ([median(burst[n] for burst in turn) for turn in turns] for n in range(3))
    return [
        Row("CPU of HAProxy for a request, one container, a home without replicas", "µs", first),
        Row("the same, one container, where another release has replicas", "µs", third),
        Row(f"the same, {REPLICAS} replicas", "µs", second),
        Row(f"{REPLICAS} replicas, of what one container costs", "×", [b / a for a, b in zip(first, second, strict=True)],
            "≤ 1.4", "median", 1.4),
    ]


def _one_dies(world: World, visits: int) -> list[Row]:
    """Kill one of three replicas amid the visits, so that the engine does not start it again."""
    port, s = world.add_app(APP, extra=f"replicas = {REPLICAS}"), world.services()
    upgrade(APP, Version("v1"), s)
    victim = s.ledger.find_instance(APP, InstanceId(1, WEB, 2))
    seen = s.engine.find_container(victim.name) if victim else None
    if seen is None or not seen.pid:
        raise RuntimeError("the second replica does not run")
    with Visitors(f"http://127.0.0.1:{port}/", RATE) as visitors:
        time.sleep(visits / RATE / 4)
        s.engine.set_restart(seen.id, always=False)
        os.kill(seen.pid, signal.SIGKILL)
        time.sleep(visits / RATE * 3 / 4)
    count = visitors.count
    return [
        Row(f"lost of {count.sent:,} GETs, one of {REPLICAS} replicas killed and staying dead", "requests", [count.lost],
            "0", "max", 0),
        Row("longest time without a good answer", "ms", [count.longest_gap_ms]),
    ]
