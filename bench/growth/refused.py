"""What `serve` keeps of calls that fail, with 600 releases in the ledger: rejected rollbacks, then many calls of all
kinds, including streams and failing upgrades, and what the last half of those adds."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle, islice

from bench.growth.builds import Build, both
from bench.growth.past import lengthen
from bench.served import resident_mb
from bench.table import Row
from tests.support import free_port

APP, RELEASES, REFUSED = "refused", 600, 250
MIXED, SHORT = 10_000, 3_000  # with fewer, what is created once is still being created in the last half
MOST_REFUSED, MOST_HALF = 20, 5  # MB


@dataclass(frozen=True, slots=True)
class Served:
    """The dashboard of one build, and a token that may do everything."""

    pid: int
    port: int
    secret: str

    def ask(self, method: str, path: str, body: object = None, *, most: int | None = None, at: str = "*") -> int:
        """Return the status. At most `most` bytes of the response are read before disconnecting."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {
                "Authorization": f"Bearer {self.secret}", "Content-Type": "application/json", "If-Match": at})
            answer = connection.getresponse()
            answer.read(most)
            return answer.status
        finally:
            connection.close()

    def rollback(self) -> int:
        """Request one at an outdated revision: 412."""
        return self.ask("POST", f"/api/v1/apps/{APP}/rollback", {"yes": True}, at='"1"')


def measure(short: bool) -> list[Row]:
    found = []
    with both() as builds:
        for build in builds:
            refused, half, calls = _of(build, SHORT if short else MIXED)
            told = f"{REFUSED} refused rollbacks with {RELEASES} releases, resident memory grows: {build.name}"
            last = f"the last half of {calls:,} calls, streams and failing upgrades, likewise: {build.name}"
            now = build is builds[1]
            found.append(Row(told, "MB", [refused], "< 20", "max", MOST_REFUSED) if now else Row(told, "MB", [refused]))
            found.append(Row(last, "MB", [half], "< 5", "max", MOST_HALF) if now else Row(last, "MB", [half]))
    return found


def _of(build: Build, calls: int) -> tuple[float, float, int]:
    """Return what rejected rollbacks added, what the last half of all calls added, and how many these were."""
    home = build.home
    home.add_app(APP)
    port = free_port()
    with home.settings.server_file.open("a") as file:
        file.write(f'[web]\nlisten = "127.0.0.1:{port}"\n')
    for version in ("v1", "v2"):
        build.run("upgrade", APP, version)
    lengthen(home.settings.ledger, APP, releases=RELEASES, events=0)
    secret = str(build.run("token", "create", "bench", "--scope", "admin").answer["secret"])
    with _serving(build) as pid:
        served = Served(pid, port, secret)
        _wait_answered(served)
        _repeat(served.rollback, 5)  # what is created once
        before = resident_mb(pid)
        _repeat(served.rollback, REFUSED)
        refused = resident_mb(pid) - before
        _mixed(served, calls // 2)
        middle = resident_mb(pid)
        _mixed(served, calls // 2)
        return refused, resident_mb(pid) - middle, calls


def _mixed(served: Served, calls: int) -> None:
    """Request pages, responses, streams that are dropped, and changes that are rejected or fail."""
    missing = {"version": "none", "yes": True}
    kinds: tuple[Callable[[], int], ...] = (
        served.rollback,
        lambda: served.ask("GET", f"/apps/{APP}"),
        lambda: served.ask("GET", f"/api/v1/apps/{APP}"),
        lambda: served.ask("GET", f"/events?app={APP}", most=20),
        lambda: served.ask("GET", "/"),
        served.rollback,
        lambda: served.ask("GET", f"/apps/{APP}/logs"),
        lambda: served.ask("GET", "/api/v1/audit"),
        lambda: served.ask("GET", f"/apps/{APP}/nothing"),
        lambda: served.ask("POST", f"/api/v1/apps/{APP}/upgrade", missing),
    )
    for ask in islice(cycle(kinds), calls):
        ask()


def _repeat(act: Callable[[], object], times: int) -> None:
    for _ in range(times):
        act()


@contextmanager
def _serving(build: Build) -> Iterator[int]:
    child = subprocess.Popen([*build.program, "--home", str(build.home.settings.home), "-q", "serve"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=30)


def _wait_answered(served: Served) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError):
            served.ask("GET", "/healthz")
            return
        time.sleep(0.1)
    raise RuntimeError("the dashboard does not answer")
