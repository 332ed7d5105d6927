"""HAProxy after many reloads, each with a connection that survives it: how many workers there are, and their memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import former
from bench.growth.curve import Promise, rows
from bench.table import Row

WORKERS = 4.0  # the one that receives traffic, and three that finish open requests
FLAT = 0.3

Told = dict[int, tuple[float, ...]]

# Run by each build: an app that never responds, a client for each reload, and a reload as a changed listen causes.
_DRIVER = """
import json, socket, sys, tempfile, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.proxy.traffic import Backend, TrafficTable
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.master import members
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
app, kept = AppName("long"), []
def free():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]
behind = socket.create_server(("127.0.0.1", 0))
def hold():
    while True:
        kept.append(behind.accept())
threading.Thread(target=hold, daemon=True).start()
def memory(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Rss:"))) / 1024
def measured(home):
    pids = members(home)
    return [len(pids) - 1, sum(map(memory, pids))]
told = {}
with tempfile.TemporaryDirectory(prefix="dctl-bench-") as made:
    folder, table = Path(made, "haproxy"), None
    traffic = HaproxyTraffic(folder, ServerSpec(), lambda: table, SystemClock())
    try:
        for reload in range(max(map(int, sys.argv[2:])) + 1):
            port = free()
            table = TrafficTable(listens={app: ("127.0.0.1", port)}, actives={app: 1}, backends=(
                Backend(app, 1, Version("v1"), 1, "127.0.0.1", behind.getsockname()[1], None),))
            traffic.sync()
            if str(reload) in sys.argv[2:]:
                time.sleep(0.5)
                told[reload] = measured(HaproxyHome(folder))
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(b"GET / HTTP/1.1\\r\\nHost: long\\r\\n\\r\\n")
            kept.append(one)
            while not traffic.in_flight(app, 1):
                time.sleep(0.01)
    finally:
        traffic.stop()
print(json.dumps(told))
"""


def measure(short: bool) -> list[Row]:
    sizes = (5, 10) if short else (5, 10, 20, 50)
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        before, now = (_after(build, sizes) for build in (Path(folder), former.ROOT))
    return [*_rows("HAProxy's workers", "", 0, before, now, Promise(largest=WORKERS)),
            *_rows("HAProxy's memory (RSS)", "MB", 1, before, now, Promise(exponent=FLAT))]


def _rows(what: str, unit: str, which: int, before: Told, now: Told, promise: Promise) -> list[Row]:
    former_, present = ({size: [values[which]] for size, values in told.items()} for told in (before, now))
    return rows(what, unit, "reloads", former_, present, promise)


def _after(build: Path, sizes: tuple[int, ...]) -> Told:
    """Return the number of workers and the memory of all of HAProxy, by number of reloads."""
    command = [sys.executable, "-I", "-c", former.script(build, _DRIVER), str(build), *map(str, sizes)]
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return {int(size): tuple(values) for size, values in json.loads(told.stdout).items()}
