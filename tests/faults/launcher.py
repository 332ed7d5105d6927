"""`python -m tests.faults.launcher FAULT RECORD WORDS…` runs deployctl with those words, and lets one fault happen in it.

What the program is made of is wrapped from outside before the program is imported: it has no hook for faults.
A call is whatever changes something outside of the process: a write of the ledger, a file that appears, a request to
the engine, a command to HAProxy, a program that is started. RECORD is written when the fault happens, or at the end:
the calls so far. With `wait` the process stands still until RECORD.go appears; RECORD.reached tells that it does.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import requests

from deployctl.effects.haproxy.socket import runtime as haproxy_runtime
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ledger.file.connection import LedgerConnection, sqlite_errors
from deployctl.ledger.journal import JournalRows
from deployctl.ledger.leases import LeaseRows
from tests.faults.injector import Fault

OFFSET = "FAULT_CLOCK_OFFSET"  # seconds by which this process's wall clock is wrong
Name = Callable[..., str | None]
WRITES = ("insert", "update", "delete", "replace", "commit", "vacuum")
QUESTIONS = ("show", "get")


@dataclass
class Run:
    """The one run of this process."""

    fault: Fault
    record: Path
    calls: list[str] = field(default_factory=list)
    steps: int = 0
    begun: int = 0
    leases: int = 0

    def around(self, name: str, failure: Callable[[], Exception], act: Callable[[], Any]) -> Any:
        self.calls.append(name)
        number = len(self.calls)
        if self.fault.is_now("before", "call", number):
            self._happen(failure)
        done = act()
        if self.fault.is_now("after", "call", number):
            self._happen(failure)
        return done

    def moment(self, when: str, what: str, number: int, kind: str = "") -> None:
        """A step was begun, or is done; the lease is about to be taken."""
        if self.fault.is_now(when, what, number, kind):
            self._happen(lambda: OSError("injected"))

    def _happen(self, failure: Callable[[], Exception]) -> None:
        self.tell()
        if self.fault.act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault.act == "wait":
            self._wait()
            return
        while self.fault.act == "hang":
            time.sleep(1)
        raise failure()

    def _wait(self) -> None:
        self.record.with_suffix(".reached").touch()
        while not self.record.with_suffix(".go").exists():
            time.sleep(0.02)

    def tell(self) -> None:
        """Write the record with nothing that is counted."""
        handle = os.open(self.record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(handle, json.dumps({"calls": self.calls, "steps": self.steps}).encode())
        os.close(handle)


# -- what counts ------------------------------------------------------------------------------------------------------
def _flushed(handle: int) -> str:
    name = Path(f"/proc/self/fd/{handle}").readlink().name
    return f"flush {'.'.join(name.lstrip('.').split('.')[:2])}"


def _renamed(path: Path, target: Path) -> str:
    return f"rename to {Path(target).name}"


def _written(connection: LedgerConnection, sql: str, values: Any = ()) -> str | None:
    words = sql.split()
    return f"ledger: {' '.join(words[:3])}" if words[0].lower() in WRITES else None


def _requested(session: Any, request: Any, **more: Any) -> str | None:
    path = [part for part in request.path_url.partition("?")[0].split("/") if part]
    return None if request.method == "GET" else f"engine: {request.method} {path[1]} {path[-1][:12]}"


def _commanded(path: Path, command: str, **more: Any) -> str | None:
    words = [word for word in command.split() if not word.startswith("@")]
    return None if not words or words[0] in QUESTIONS else f"haproxy: {' '.join(words[:3])}"


def _started(words: list[str], *args: Any, **more: Any) -> str:
    return f"run {' '.join([Path(words[0]).name, *words[1:3]])}"


@dataclass(frozen=True)
class Point:
    owner: Any
    attribute: str
    name: Name
    failure: Callable[[], Exception]


POINTS = (
    Point(os, "fsync", _flushed, lambda: OSError(28, "No space left on device")),
    Point(Path, "replace", _renamed, lambda: OSError(5, "Input/output error")),
    Point(Path, "rename", _renamed, lambda: OSError(5, "Input/output error")),
    Point(LedgerConnection, "execute", _written, lambda: sqlite3.OperationalError("disk I/O error")),
    Point(requests.Session, "send", _requested, lambda: requests.ConnectionError("injected")),
    Point(haproxy_runtime, "ask", _commanded, lambda: TimeoutError("injected")),
    Point(subprocess, "run", _started, lambda: OSError(11, "Resource temporarily unavailable")),
)


def install(run: Run) -> None:
    for point in POINTS:
        setattr(point.owner, point.attribute, _counted(run, point, getattr(point.owner, point.attribute)))
    for method, what in (("begin_step", "begin"), ("finish_step", "step")):
        setattr(JournalRows, method, _noticed(run, what, getattr(JournalRows, method)))
    for method in ("take_lease",):
        setattr(LeaseRows, method, _foreseen(run, getattr(LeaseRows, method)))


def _counted(run: Run, point: Point, act: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **more: Any) -> Any:
        name = point.name(*args, **more)
        if name is None:
            return act(*args, **more)
        if point.owner is not LedgerConnection:
            return run.around(name, point.failure, lambda: act(*args, **more))
        with sqlite_errors(args[0].path):  # the program translates SQLite's errors where they come from
            return run.around(name, point.failure, lambda: act(*args, **more))

    return counted


def _noticed(run: Run, what: str, act: Callable[..., Any]) -> Callable[..., Any]:
    def noticed(rows: JournalRows, *args: Any, **more: Any) -> Any:
        done = act(rows, *args, **more)
        if what == "step":
            run.steps += 1
            run.moment("after", what, run.steps)
        else:
            run.begun += 1
            run.moment("after", what, run.begun, str(args[2].kind))
        return done

    return noticed


def _foreseen(run: Run, act: Callable[..., Any]) -> Callable[..., Any]:
    def foreseen(*args: Any, **more: Any) -> Any:
        run.leases += 1
        run.moment("before", "lease", run.leases)
        return act(*args, **more)

    return foreseen


def set_clock(seconds: float) -> None:
    """Let the wall clock be wrong by so much; what is measured stays right."""
    shown = SystemClock.utc

    def utc(clock: SystemClock) -> str:
        wrong = datetime.fromisoformat(shown(clock)) + timedelta(seconds=seconds)
        return wrong.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    setattr(SystemClock, "utc", utc)  # noqa: B010 - a method is replaced on purpose


def main() -> NoReturn:
    set_clock(float(os.environ.get(OFFSET, "0")))
    run = Run(Fault.parse(sys.argv[1]), Path(sys.argv[2]))
    install(run)
    sys.argv[1:] = sys.argv[3:]
    from deployctl.__main__ import main as deployctl

    code = deployctl()
    run.tell()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
