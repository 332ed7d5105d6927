"""Rollbacks by the API of a real `deployctl serve`: how long a request takes, and what the server spends on it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench import former
from bench.growth.apps import watching
from bench.served import cpu_ms
from bench.world import World, world

APP = "beside"
FIRST_PORT = 18_990
PAUSE = 0.3  # seconds between two requests: what the one before left to do is done meanwhile
WARM_UP = 3  # rounds that are not counted


@dataclass(slots=True)
class Api:
    """The API of one build, a token that may deploy, and the milliseconds that each rollback took."""

    port: int
    secret: str
    pid: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}) -> Any:
        """Return the answer, which must be a good one, asked for on a connection of its own."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, None if method == "GET" else "{}", {
                "Authorization": f"Bearer {self.secret}", "Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered {answer.status}: {body.decode()}")
        return json.loads(body)

    def post(self, verb: str) -> tuple[float, float]:
        """Return the milliseconds of a change at the present revision, and those of the server's CPU."""
        time.sleep(PAUSE)
        revision = self.ask("GET", f"/api/v1/apps/{APP}")["apps"][0]["revision"]
        time.sleep(PAUSE)
        spent, began = cpu_ms(self.pid), time.perf_counter()
        self.ask("POST", f"/api/v1/apps/{APP}/{verb}", {"If-Match": f'"{revision}"'})
        return 1000 * (time.perf_counter() - began), cpu_ms(self.pid) - spent


def measure_rollbacks(folders: Sequence[Path], *, rounds: int) -> list[Api]:
    """Roll back to a warm standby by the API of each build, in turns, and undo it. Needs an engine."""
    with ExitStack() as stack:
        apis = [stack.enter_context(_served(folder, stack.enter_context(world()), FIRST_PORT + number))
                for number, folder in enumerate(folders)]
        for number in range(WARM_UP + rounds):
            for api in apis if number % 2 else apis[::-1]:
                wall, cpu = api.post("rollback")
                api.post("undo")
                if number >= WARM_UP:
                    api.wall.append(wall)
                    api.cpu.append(cpu)
    return apis


@contextmanager
def _served(folder: Path, home: World, port: int) -> Iterator[Api]:
    program = former.program(folder)
    home.add_app(APP, extra="keep_warm = 1")
    for version in ("v1", "v2"):
        _run(program, home, "upgrade", APP, version)
    with home.settings.server_file.open("a") as file:
        file.write(f"[web]\nlisten = {port}\n")
    secret = _run(program, home, "-q", "token", "create", "bench", "--scope", "deploy").strip()
    with watching(program, home.settings.home) as pid:
        api = Api(port, secret, pid)
        _wait(api)
        yield api


def _run(program: Sequence[str], home: World, *words: str) -> str:
    return subprocess.run([*program, "--home", str(home.settings.home), *words], stdin=subprocess.DEVNULL, check=True,
                          capture_output=True, text=True).stdout


def _wait(api: Api) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(ConnectionRefusedError):
            api.ask("GET", "/api/v1/apps")
            return
        time.sleep(0.1)
    raise RuntimeError("the dashboard does not answer")
