"""What many apps cost on a simulated engine: the watcher without drift, and the Server page's findings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bench import former
from bench.growth.curve import Promise, rows
from bench.growth.stand_in import standing_in
from bench.served import cpu_share
from bench.table import Row
from deployctl.bootstrap import services
from deployctl.config.settings import Settings
from deployctl.ports import Services
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.setup.doctor import findings

FILL = Path(__file__).with_name("many.py")  # run by either build
SIZES, ROUND = (50, 200, 1_000), 60.0  # apps; seconds within which everything is checked once
SHORT = (20, 100)
SERVED, FOUND = 200, 500  # apps, and milliseconds of CPU for what the Server page and `doctor` report on them
GOAL = 2.0  # percent of a core at the largest size
WITH = "import sys; sys.path.insert(0, sys.argv.pop(1)); exec(compile(sys.stdin.read(), 'many.py', 'exec'))"


def measure(short: bool) -> list[Row]:
    sizes, seconds = (SHORT, ROUND) if short else (SIZES, 2 * ROUND)
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        before = {size: [share_of(Path(folder), size, seconds)] for size in sizes}
    now = {size: [share_of(former.ROOT, size, seconds)] for size in sizes}
    return [*rows("the watcher's share of a core, idle", "%", "apps", before, now, Promise(largest=GOAL)),
            Row(f"the Server page's findings, {SERVED} apps, CPU", "ms", findings_of(SERVED), f"≤ {FOUND}", "median", FOUND)]


def share_of(build: Path, apps: int, seconds: float) -> float:
    """Return what a watcher of that many apps takes, in percent of a core, once its first check is over."""
    with filled(build, apps) as home, watching(former.program(build), home, "--no-web") as pid:
        time.sleep(20 + apps / 50)  # its first check, for which it inspects each container
        return cpu_share(pid, seconds)


def findings_of(apps: int) -> list[float]:
    """Return how many milliseconds of its own time the Server page's findings take in a home with that many apps."""
    with filled(former.ROOT, apps) as home, closing(services(Settings(home), reporter=SilentReporter(), actor="bench")) as s:
        try:
            return [_found(s, apps) for _ in range(10)]
        finally:
            _end_haproxy(home)


def _found(s: Services, apps: int) -> float:
    began = time.thread_time()
    found = [one for one in findings(s) if one.name.startswith("config/")]
    if len(found) != apps:
        raise RuntimeError(f"{len(found)} of {apps} files were judged")
    return (time.thread_time() - began) * 1000


@contextmanager
def filled(build: Path, apps: int, *more: int) -> Iterator[Path]:
    """Yield a home with that many apps, whose engine responds at its `engine.sock`; `more` as in many.py."""
    many = [*map(str, (apps, *more))]
    with tempfile.TemporaryDirectory(prefix="dctl-") as folder:
        home = Path(folder).resolve()
        said = subprocess.run([sys.executable, "-I", "-c", WITH, str(build), str(home), *many], check=True, text=True,
                              input=former.script(build, FILL.read_text()), stdout=subprocess.PIPE).stdout
        try:
            with standing_in(home / "engine.sock", json.loads(said)), _engine_at(home / "engine.sock"):
                yield home
        finally:  # it outlives its commands, and the next home would not get its ports
            _end_haproxy(home)


@contextmanager
def _engine_at(socket: Path) -> Iterator[None]:
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        yield
    finally:
        os.environ.pop("DOCKER_HOST") if before is None else os.environ.update(DOCKER_HOST=before)


@contextmanager
def watching(program: Sequence[str], home: Path, *flags: str) -> Iterator[int]:
    command = [*program, "--home", str(home), "-q", "serve", *flags]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=(home / "said").open("w"))
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=30)
        _end_haproxy(home)


def _end_haproxy(home: Path) -> None:
    """HAProxy outlives its watcher."""
    with suppress(OSError, ValueError):
        os.kill(int((Settings(home).haproxy_dir / "haproxy.pid").read_text()), signal.SIGTERM)
