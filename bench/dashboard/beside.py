"""`deployctl serve` beside that of a former build, in one run: the first byte of its pages, rollbacks by its API, and its
resident memory.

Pages are those of a home with 200 apps of ten versions whose Docker and HAProxy are in memory, each build in a process of
its own, asked in turns. Rollbacks are real ones. Memory is that of the real command over an engine that stands in, one
minute after its start.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from statistics import median

from bench import former
from bench.dashboard.api import measure_rollbacks
from bench.dashboard.many_site import VERSIONS
from bench.growth.apps import filled, watching
from bench.served import cpu_ms, resident_mb
from bench.table import Row

FIRST_BYTE, API, MEMORY = 0.6, 0.6, 0.75  # of the former build's, at most
APART = 0.25  # seconds between two requests: some get a cached reading, some a fresh one
PORT = 20_999  # of the dashboard: below those of the apps

SITE = Path(__file__).with_name("many_site.py")  # run by each build in its own folder
WITH = "import sys; sys.path.insert(0, sys.argv[1]); exec(compile(sys.argv.pop(), 'many_site.py', 'exec'))"


@dataclass(slots=True)
class Build:
    """One build: the folder of its packages, and the milliseconds that each page took."""

    name: str
    folder: Path
    took: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    pid: int
    address: tuple[str, int]
    secret: str


@contextmanager
def _builds() -> Iterator[tuple[Build, Build]]:
    """Yield the former build, unpacked with its tests, and this one."""
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder), "deployctl", "web", "tests", "bench"):
            raise RuntimeError(why)
        yield Build(former.COMMIT[:7], Path(folder)), Build("this build", former.ROOT)


def measure(*, apps: int, looks: int, rounds: int, settled: float) -> list[Row]:
    """Needs DEPLOYCTL_FORMER_PYTHON (see former.python), and for the rollbacks an engine. `settled`: seconds from the start
    of `serve` until its memory is read."""
    return [*measure_pages_beside(apps=apps, looks=looks), *measure_api_beside(rounds=rounds),
            *measure_memory_beside(settled=settled)]


def measure_pages_beside(*, apps: int, looks: int) -> list[Row]:
    """Return the first byte of the app page and of the list of apps in both builds, and their ratio."""
    pages = {"app page": f"/apps/app-{apps // 2}", "list of apps": "/"}
    with _builds() as builds, ExitStack() as stack:
        sites = [stack.enter_context(_serving_pages(build, apps)) for build in builds]
        for number in range(looks):
            for build, site in [*zip(builds, sites, strict=True)][:: 1 if number % 2 else -1]:
                for name, path in pages.items():
                    ms, cpu = _first_byte(site, path)
                    build.took.setdefault(name, []).append(ms)
                    build.cpu.setdefault(name, []).append(cpu)
    rows = []
    for name in pages:
        what = f"first byte of the {name}, {apps} apps × {VERSIONS} versions"
        limit = FIRST_BYTE if name == "app page" else None
        rows += _pair(what, "ms", *((build.name, build.took[name]) for build in builds), limit=limit)
        rows += _pair(f"{what}, CPU of the server", "ms", *((build.name, build.cpu[name]) for build in builds))
    return rows


def measure_api_beside(*, rounds: int) -> list[Row]:
    """Return what a rollback by the API takes in both builds, and their ratio."""
    with _builds() as builds:
        apis = measure_rollbacks([build.folder for build in builds], rounds=rounds)
    names, what = [build.name for build in builds], "rollback by the API"
    return [*_pair(what, "ms", *zip(names, (api.wall for api in apis), strict=True), limit=API),
            *_pair(f"{what}, CPU of the server", "ms", *zip(names, (api.cpu for api in apis), strict=True))]


def _pair(what: str, unit: str, before: tuple[str, list[float]], now: tuple[str, list[float]], *,
          limit: float | None = None) -> list[Row]:
    both = [Row(f"{what}: {name}", unit, values) for name, values in (before, now)]
    promise = f"≤ {limit}" if limit else ""
    return [*both, Row(f"{what}: {now[0]} / {before[0]}", "×", [median(now[1]) / median(before[1])], promise,
                       "median" if limit else "", limit)]


@contextmanager
def _serving_pages(build: Build, apps: int) -> Iterator[Site]:
    command = [former.python(build.folder), "-I", "-c", WITH, str(build.folder), str(apps),
               former.script(build.folder, SITE.read_text())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=build.folder) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            told = json.loads(child.stdout.readline())
            yield Site(child.pid, tuple(told["address"]), told["secret"])
        finally:
            child.stdin.close()


def _first_byte(site: Site, path: str) -> tuple[float, float]:
    """Return the milliseconds until an answer begins, on a connection of its own, and those of CPU for the whole."""
    time.sleep(APART)
    before = cpu_ms(site.pid)
    with closing(HTTPConnection(*site.address, timeout=60)) as connection:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {site.secret}"})
        answer = connection.getresponse()
        ms = 1000 * (time.perf_counter() - began)
        body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}: {body[:300]!r}")
    return ms, cpu_ms(site.pid) - before


# -- memory --------------------------------------------------------------------------------------------------------
def measure_memory_beside(*, settled: float) -> list[Row]:
    """Return the resident memory of `serve` in both builds: with ten apps and one stream, and with 200 apps."""
    found: dict[str, list[tuple[str, list[float]]]] = {}
    with _builds() as builds:
        for build in builds:
            for apps, streams in ((10, 1), (200, 0)):
                what = f"resident memory of serve, {apps} apps{' and one stream' if streams else ''}"
                found.setdefault(what, []).append((build.name, [_memory(build, apps, streams, settled)]))
    return [row for what, pair in found.items() for row in _pair(what, "MB", *pair, limit=MEMORY)]


def _memory(build: Build, apps: int, streams: int, settled: float) -> float:
    """Return the MB that `serve` of so many apps has resident so long after its start."""
    with filled(build.folder, apps) as home, ExitStack() as stack:
        with (home / "config" / "server.toml").open("a") as file:
            file.write(f"[web]\nlisten = {PORT}\n")
        program = former.program(build.folder)
        secret = _token(program, home)
        began = time.monotonic()
        pid = stack.enter_context(watching(program, home))
        for number in range(streams):
            stack.enter_context(_stream(PORT, secret, f"app-{number}"))
        time.sleep(max(0.0, began + settled - time.monotonic()))
        return resident_mb(pid)


def _token(program: Sequence[str], home: Path) -> str:
    command = [*program, "--home", str(home), "-q", "token", "create", "bench"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _stream(port: int, secret: str, app: str) -> Iterator[None]:
    """Keep a stream of that app open, read as a browser would, once the dashboard answers."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        answer = _ask_for_stream(connection, f"/events?app={app}", secret)
        if answer.status != 200:
            raise RuntimeError(f"a stream was answered {answer.status}")
        threading.Thread(target=_read_on, args=(answer,), daemon=True).start()
        yield


def _ask_for_stream(connection: HTTPConnection, path: str, secret: str) -> HTTPResponse:
    until = time.monotonic() + 20
    while True:
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {secret}"})
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            connection.close()
            time.sleep(0.1)
        else:
            return connection.getresponse()


def _read_on(answer: HTTPResponse) -> None:
    with suppress(OSError, ValueError, AttributeError):  # it was closed: the measuring is over
        while answer.read1(65536):
            pass
