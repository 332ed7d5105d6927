"""What test runs change on the machine beyond Docker, and revert: guard routes, and a lock that shows which runs are
active.

A bridge that vanishes must never send a test's load to another host, so private ranges that containers use are
unreachable unless a bridge claims a part of them. 10.0.0.0/8 is left alone: machines live there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Any

GUARDED = ("172.16.0.0/12", "192.168.0.0/16")
METRIC = 4278198272  # loses against every real route
LOCKS = Path(f"/tmp/deployctl-tests-{os.getuid()}")


@contextmanager
def locked(name: str, how: int, *, folder: Path | None = None) -> Iterator[IO[str]]:
    """Hold that lock while inside; BlockingIOError with LOCK_NB when somebody else does. Its file is handed in."""
    folder = folder or LOCKS
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / name).open("a+") as file:
        fcntl.flock(file, how)
        yield file


@contextmanager
def alone() -> Iterator[IO[str] | None]:
    """Keep other test runs from starting while inside; None when one is going on."""
    try:
        with locked("running", fcntl.LOCK_EX | fcntl.LOCK_NB) as file:
            yield file
    except BlockingIOError:
        yield None


@contextmanager
def presence(*, guard: bool) -> Iterator[None]:
    """Be counted as a test run, behind guard routes if asked. The last run out takes the routes that any run added."""
    with locked("running", fcntl.LOCK_SH) as file:
        if guard and may_route():
            _add_guards(file)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
            _remove_guards_if_last()


def may_route() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") is not None


def routes() -> list[dict[str, Any]]:
    """Return the IPv4 routes of this host, as `ip` names them; none where there is no `ip`."""
    if shutil.which("ip") is None:
        return []
    shown = subprocess.run(["ip", "-j", "-4", "route", "show"], check=True, capture_output=True, text=True)
    return list(json.loads(shown.stdout or "[]"))


def unreachable(inside: str = "0.0.0.0/0") -> set[str]:
    """Return the guarded subnets inside that one."""
    outer = IPv4Network(inside)
    found = {route["dst"] for route in routes() if route.get("type") == "unreachable" and route["dst"] != "default"}
    return {subnet for subnet in found if IPv4Network(subnet).subnet_of(outer)}


def add_guard(subnet: str) -> None:
    _route("add", subnet)


def remove_guards(subnets: Sequence[str] | set[str]) -> None:
    for subnet in sorted(unreachable() & set(subnets)):
        _route("del", subnet)


def _add_guards(record: IO[str]) -> None:
    for subnet in sorted(set(GUARDED) - unreachable()):
        record.write(subnet + "\n")  # first: a killed run must not leave a route that nobody remembers
        record.flush()
        add_guard(subnet)


def _remove_guards_if_last() -> None:
    with alone() as record:
        if record is not None:
            record.seek(0)
            remove_guards(record.read().split())
            record.truncate(0)


def _route(verb: str, subnet: str) -> None:
    command = ["ip", "route", verb, "unreachable", subnet, "metric", str(METRIC)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "File exists" not in done.stderr:  # another run was faster
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
