"""Plain Docker with the same image: stop one container, start the other one on the same published port."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.world import IMAGE, World
from deployctl.demo import stage
from deployctl.demo.visitors import Visitors

SETTLE = 1.5  # seconds of good responses before and after


@dataclass(frozen=True, slots=True)
class Plain:
    outage_ms: float
    lost: int
    command_ms: float


def plain_switches(world: World, rounds: int, rate: float) -> list[Plain]:
    """Return what each plain switch cost under the same load."""
    port = world.add_app("plain")
    with _two_containers(world, port) as (api, first, second):
        return [_once(api, *(first, second)[:: 1 if i % 2 == 0 else -1], port=port, rate=rate) for i in range(rounds)]


def _once(api: Any, old: str, new: str, *, port: int, rate: float) -> Plain:
    with Visitors(f"http://127.0.0.1:{port}/", rate, keep_alive=False) as visitors:
        time.sleep(SETTLE)
        started = time.perf_counter()
        api.stop(old, timeout=10)
        api.start(new)
        ms = (time.perf_counter() - started) * 1000
        time.sleep(SETTLE)
    return Plain(visitors.count.longest_gap_ms, visitors.count.lost, ms)


@contextmanager
def _two_containers(world: World, port: int) -> Iterator[tuple[Any, str, str]]:
    from docker import APIClient

    api = APIClient(base_url=stage.engine(world.settings).address, version="auto")
    made = [_create(api, version, port) for version in ("v1", "v2")]
    try:
        api.start(made[0])
        time.sleep(1)
        yield api, made[0], made[1]
    finally:
        for container in made:
            api.remove_container(container, force=True)
        api.close()


def _create(api: Any, version: str, port: int) -> str:
    host = api.create_host_config(port_bindings={8080: ("127.0.0.1", port)})
    made = api.create_container(f"{IMAGE}:{version}", ports=[8080], host_config=host, labels={"deployctl.bench": "1"})
    return str(made["Id"])
