"""What many apps cost over an engine that stands in: the watcher while all is well, and the Server page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from bench import former
from bench.growth.curve import Promise, rows
from bench.growth.stand_in import standing_in
from bench.served import cpu_share
from bench.table import Row
from deployctl.bootstrap import services
from deployctl.domain.access import Role, given
from deployctl.settings import Settings
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.tokens import create_token

SIZES, ROUND = (50, 200, 1_000), 60.0  # apps; seconds within which all is looked at once
SHORT = (20, 100)
SERVED, PAGE, PORT = 200, 1_000, 20_999  # apps and milliseconds of the Server page, and where it is asked for
GOAL = 2.0  # percent of a core at the largest size
WITH = "import sys; sys.path.insert(0, sys.argv.pop(1)); import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def measure(short: bool) -> list[Row]:
    sizes, seconds = (SHORT, ROUND) if short else (SIZES, 2 * ROUND)
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        before = {size: [share_of(Path(folder), size, seconds)] for size in sizes}
    now = {size: [share_of(former.ROOT, size, seconds)] for size in sizes}
    return [*rows("the watcher's share of a core, idle", "%", "apps", before, now, Promise(largest=GOAL)),
            Row(f"the Server page, {SERVED} apps", "ms", page_of(SERVED), f"median ≤ {PAGE:,}", "median", PAGE)]


def share_of(build: Path, apps: int, seconds: float) -> float:
    """Return what a watcher of so many apps takes, in percent of a core, once its first look is over."""
    with _filled(build, apps) as home, _watching(former.program(build), home, "--no-web") as pid:
        time.sleep(20 + apps / 50)  # its first look, for which it asks for each container
        return cpu_share(pid, seconds)


def page_of(apps: int) -> list[float]:
    """Return how many milliseconds the Server page takes of a home with so many apps, time after time."""
    with _filled(former.ROOT, apps) as home, _watching(former.program(), home, "--listen", f"127.0.0.1:{PORT}"):
        with closing(services(Settings(home), reporter=SilentReporter(), actor="bench")) as s:
            secret = create_token("bench", given(Role.VIEWER, []), s).secret
        time.sleep(20 + apps / 50)
        return [_asked({"Authorization": f"Bearer {secret}"}) for _ in range(10)]


def _asked(headers: Mapping[str, str]) -> float:
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", PORT, timeout=60)) as connection:
        connection.request("GET", "/server", headers=headers)
        answer = connection.getresponse()
        page = answer.read()
    if answer.status != 200 or b"Understood" not in page:
        raise RuntimeError(f"the Server page answered {answer.status}, or told no findings")
    return (time.perf_counter() - began) * 1000


@contextmanager
def _filled(build: Path, apps: int) -> Iterator[Path]:
    """Yield a home of so many apps, whose engine answers at its `engine.sock`."""
    with tempfile.TemporaryDirectory(prefix="dctl-") as folder:
        home = Path(folder).resolve()
        said = subprocess.run([sys.executable, "-I", "-c", WITH, str(build), str(Path(__file__).with_name("many.py")),
                               str(home), str(apps)], check=True, capture_output=True, text=True).stdout
        with standing_in(home / "engine.sock", json.loads(said)):
            yield home


@contextmanager
def _watching(program: Sequence[str], home: Path, *flags: str) -> Iterator[int]:
    environ: Mapping[str, str] = {**os.environ, "DOCKER_HOST": f"unix://{home / 'engine.sock'}"}
    command = [*program, "--home", str(home), "-q", "serve", *flags]
    child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=(home / "said").open("w"))
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=30)
        with suppress(OSError, ValueError):  # HAProxy outlives whoever watches it
            os.kill(int((Settings(home).haproxy_dir / "haproxy.pid").read_text()), signal.SIGTERM)
