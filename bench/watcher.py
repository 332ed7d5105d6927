"""What the watcher costs while all is well, and how long a loss lasts until visitors are served again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import docker

from bench.table import Row
from bench.world import COMMAND, World
from deployctl.demo import stage
from deployctl.domain.names import AppName, Version
from deployctl.usecases.upgrade import upgrade

FIRST = AppName("watched-0")
TICKS = os.sysconf("SC_CLK_TCK")


def measure(world: World, *, apps: int, seconds: float, rounds: int) -> list[Row]:
    s = world.services()
    ports = {}
    for i in range(apps):
        name = AppName(f"watched-{i}")
        ports[name] = world.add_app(name)
        upgrade(name, Version("v1"), s)
    with _watcher(world) as pid:
        time.sleep(5)  # its first look is over
        share, resident = _idle(pid, seconds), _resident_mb(pid)
        killed = [_recovery(ports[FIRST], lambda: _kill_active(world)) for _ in range(rounds)]
        removed = [_recovery(ports[FIRST], lambda: _kill_active(world, remove=True)) for _ in range(rounds)]
        dead = [_recovery(ports[FIRST], lambda: _kill_haproxy(world)) for _ in range(rounds)]
        after = _resident_mb(pid)
    return [
        Row(f"share of a core, idle with {apps} apps over {seconds:g} s", "%", [share], "< 1", "max", 1),
        Row("resident memory, idle", "MB", [resident], "< 100", "max", 100),
        Row("resident memory, after all of the below", "MB", [after], "< 100", "max", 100),
        Row("active container killed: until it serves again", "s", killed, "< 5", "max", 5),
        Row("active container removed: until it serves again", "s", removed, "< 5", "max", 5),
        Row("HAProxy killed: until it serves again", "s", dead, "< 5", "max", 5),
    ]


@contextmanager
def _watcher(world: World) -> Iterator[int]:
    with Path(os.devnull).open("w") as nowhere:
        child = subprocess.Popen([*COMMAND, "--home", str(world.settings.home), "-q", "serve", "--no-web"],
                                 stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere)
    try:
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _idle(pid: int, seconds: float) -> float:
    """Return the percentage of one core that the process used meanwhile."""
    before = _cpu_seconds(pid)
    time.sleep(seconds)
    return 100 * (_cpu_seconds(pid) - before) / seconds


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _recovery(port: int, harm: Callable[[], None]) -> float:
    """Do the harm, and return the seconds from then on until somebody who comes afterwards is served. HAProxy may
    hold a visitor until the container is back."""
    _wait_served(port)
    time.sleep(1)  # what was mended before has settled
    began = time.perf_counter()
    harm()
    time.sleep(0.1)  # what was killed is surely dead
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
