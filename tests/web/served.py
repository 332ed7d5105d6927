"""A home with its dashboard as people have it: real containers, real HAProxy, and a `deployctl serve` of its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.e2e.cli import PATIENCE, Cli, command, home_of_a_person, wait_until

ADMIN, DEPLOYER, VIEWER = "mara", "jonas", "grace"
ROLES = {ADMIN: "admin", DEPLOYER: "deployer", VIEWER: "viewer"}


class Served:
    """`base` is the address of the dashboard. The process may be killed and started again."""

    def __init__(self, cli: Cli) -> None:
        self.cli = cli
        listen = str(tomllib.loads((cli.home / "config/server.toml").read_text())["web"]["listen"])
        self.port = int(listen.rpartition(":")[2])
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = cli.home / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    # -- its process --------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start it and return when it answers."""
        environ = {name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command(self.cli.home, "serve"), env=environ, stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)
        wait_until(self.answers, within=20, what="the dashboard")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> float:
        """End it as systemd does, and return how many seconds that took."""
        began = time.monotonic()
        self._end(signal.SIGTERM)
        return time.monotonic() - began

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            process.wait(PATIENCE)

    def answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, self.log.read_text()
        return self.status("/healthz") == 200

    def status(self, path: str) -> int | None:
        """Return what a stranger gets there, None when nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    # -- its people ---------------------------------------------------------------------------------------------------
    def link(self, name: str) -> str:
        """Return a link that signs this user in once."""
        return str(self.cli.do("user", "link", name)["link"]["url"])

    def add_people(self) -> None:
        for name, role in ROLES.items():
            self.cli.do("user", "add", name, "--role", role)


@contextmanager
def served_home(engine_url: str) -> Iterator[Served]:
    """Hand out a home whose dashboard answers, with an admin, a deployer and a viewer."""
    with home_of_a_person(engine_url) as cli:
        made = Served(cli)
        made.add_people()
        made.start()
        try:
            yield made
        finally:
            made.stop()


def said(home: Path) -> str:
    """Return what the process wrote into its log."""
    return (home / "serve.log").read_text(errors="replace")
