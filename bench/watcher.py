"""What the watcher costs without drift, and how long a failure lasts until clients are served again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException

import docker

from bench.served import cpu_share, resident_mb, serving
from bench.table import Row
from bench.world import World
from deployctl.demo import stage
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.upgrade import upgrade

FIRST = AppName("watched-0")


def measure(world: World, *, apps: int, seconds: float, rounds: int) -> list[Row]:
    s = world.services()
    ports = {}
    for i in range(apps):
        name = AppName(f"watched-{i}")
        ports[name] = world.add_app(name)
        upgrade(name, Version("v1"), s)
    with serving(world, "--no-web") as pid:
        time.sleep(5)  # its first check is over
        share, resident = cpu_share(pid, seconds), resident_mb(pid)
        killed = [_recovery(ports[FIRST], lambda: _kill_active(world)) for _ in range(rounds)]
        removed = [_recovery(ports[FIRST], lambda: _kill_active(world, remove=True)) for _ in range(rounds)]
        dead = [_recovery(ports[FIRST], lambda: _kill_haproxy(world)) for _ in range(rounds)]
        after = resident_mb(pid)
    return [
        Row(f"share of a core, idle with {apps} apps over {seconds:g} s", "%", [share], "< 1", "max", 1),
        Row("resident memory, idle", "MB", [resident], "< 100", "max", 100),
        Row("resident memory, after all of the below", "MB", [after], "< 100", "max", 100),
        Row("active container killed: until it serves again", "s", killed, "< 5", "max", 5),
        Row("active container removed: until it serves again", "s", removed, "< 5", "max", 5),
        Row("HAProxy killed: until it serves again", "s", dead, "< 5", "max", 5),
    ]


def _recovery(port: int, harm: Callable[[], None]) -> float:
    """Cause the failure, and return the seconds from then until a new client is served. HAProxy may hold a request
    until the container is back."""
    _wait_served(port)
    time.sleep(1)  # the previous repair has settled
    began = time.perf_counter()
    harm()
    time.sleep(0.1)  # what was killed has certainly died
    return _wait_served(port) - began


def _wait_served(port: int) -> float:
    end = time.monotonic() + 60
    while not _served(port):
        if time.monotonic() > end:
            raise RuntimeError("it is not served again")
        time.sleep(0.01)
    return time.perf_counter()


def _served(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/version")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _kill_active(world: World, *, remove: bool = False) -> None:
    [instance] = world.services().ledger.instances(FIRST)
    with closing(docker.APIClient(base_url=stage.engine(world.settings).address)) as api:
        if remove:
            api.remove_container(instance.name, force=True)
        else:
            api.kill(instance.name)


def _kill_haproxy(world: World) -> None:
    pid = world.services().traffic.pid()
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
