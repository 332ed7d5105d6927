"""`deployctl serve` of a home as a process of its own, and its resource usage."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.world import COMMAND, World

TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(world: World, *flags: str) -> Iterator[int]:
    """Yield its pid. It ends with the block."""
    with Path(os.devnull).open("w") as nowhere:
        child = subprocess.Popen([*COMMAND, "--home", str(world.settings.home), "-q", "serve", *flags],
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


def cpu_share(pid: int, seconds: float) -> float:
    """Return the percentage of one core that the process used in that time."""
    before = _cpu_seconds(pid)
    time.sleep(seconds)
    return 100 * (_cpu_seconds(pid) - before) / seconds


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_ms(pid: int) -> float:
    """Return the milliseconds that all threads of a process have run, those that ended included, to the nanosecond."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e6  # the clock of clock_getcpuclockid(3)


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
