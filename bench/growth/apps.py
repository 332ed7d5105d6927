"""What the watcher costs while all is well, by the number of apps: over an engine that stands in, and the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import former
from bench.growth.curve import Promise, rows
from bench.growth.stand_in import standing_in
from bench.served import cpu_share
from bench.table import Row
from deployctl.settings import Settings

SIZES, ROUND = (50, 200, 1_000), 60.0  # apps; seconds within which all is looked at once
SHORT = (20, 100)
GOAL = 2.0  # percent of a core at the largest size
WITH = "import sys; sys.path.insert(0, sys.argv.pop(1)); import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def measure(short: bool) -> list[Row]:
    sizes, seconds = (SHORT, ROUND) if short else (SIZES, 2 * ROUND)
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        before = {size: [share_of(Path(folder), size, seconds)] for size in sizes}
    now = {size: [share_of(former.ROOT, size, seconds)] for size in sizes}
    return rows("the watcher's share of a core, idle", "%", "apps", before, now, Promise(largest=GOAL))


def share_of(build: Path, apps: int, seconds: float) -> float:
    """Return what a watcher of so many apps takes, in percent of a core, once its first look is over."""
    with tempfile.TemporaryDirectory(prefix="dctl-") as folder:
        home = Path(folder).resolve()
        said = subprocess.run([sys.executable, "-I", "-c", WITH, str(build), str(Path(__file__).with_name("many.py")),
                               str(home), str(apps)], check=True, capture_output=True, text=True).stdout
        socket = home / "engine.sock"
        with standing_in(socket, json.loads(said)), _watching(former.program(build), home, socket) as pid:
            time.sleep(20 + apps / 50)  # its first look, for which it asks for each container
            return cpu_share(pid, seconds)


@contextmanager
def _watching(program: Sequence[str], home: Path, socket: Path) -> Iterator[int]:
    environ: Mapping[str, str] = {**os.environ, "DOCKER_HOST": f"unix://{socket}"}
    command = [*program, "--home", str(home), "-q", "serve", "--no-web"]
    child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=(home / "said").open("w"))
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=30)
        with suppress(OSError, ValueError):  # HAProxy outlives whoever watches it
            os.kill(int((Settings(home).haproxy_dir / "haproxy.pid").read_text()), signal.SIGTERM)
