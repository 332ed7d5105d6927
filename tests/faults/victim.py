"""A deployctl in which one fault happens, started from a test as any other command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cli import PATIENCE, Cli, Ran, wait_until
from tests.faults.injector import COUNT, Fault

ROOT = Path(__file__).resolve().parents[2]
KILLED = -9


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended, and the calls that it made until its fault or its end."""

    ran: Ran
    calls: tuple[str, ...]
    steps: int

    @property
    def killed(self) -> bool:
        return self.ran.code == KILLED

    @property
    def place(self) -> str:
        return self.calls[-1] if self.calls else "nothing"


class Victim:
    def __init__(self, town: Cli, fault: Fault, words: tuple[str, ...], record: Path, env: Mapping[str, str]) -> None:
        self.fault, self.words, self._record = fault, words, record
        command = [sys.executable, "-m", "tests.faults.launcher", str(fault), str(record), "--home", str(town.home),
                   "-o", "json", *words]
        self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_there(self) -> None:
        """Return when it stands still where its fault says."""
        reached = self._record.with_suffix(".reached")
        wait_until(lambda: reached.exists() or self.process.poll() is not None, within=PATIENCE, what="the step")
        assert reached.exists(), self.ended()

    def go_on(self) -> None:
        self._record.with_suffix(".go").touch()

    def kill(self) -> None:
        """SIGKILL, unless it has ended; nothing of it is left to the garbage collector."""
        self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.process.communicate()

    def ended(self, timeout: float = PATIENCE) -> Ended:
        out, err = self.process.communicate(timeout=timeout)
        told: dict[str, Any] = json.loads(self._record.read_text()) if self._record.exists() else {"calls": [], "steps": 0}
        return Ended(Ran(self.words, self.process.returncode, out, err), tuple(told["calls"]), told["steps"])


@contextmanager
def victim(town: Cli, fault: Fault, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Victim]:
    """Start it; it does not outlive the block."""
    with tempfile.TemporaryDirectory(prefix="dctl-fault-") as folder:
        started = Victim(town, fault, words, Path(folder) / "record", env or {})
        try:
            yield started
        finally:
            started.kill()


def run_with(town: Cli, fault: Fault, *words: str, timeout: float = PATIENCE,
             env: Mapping[str, str] | None = None) -> Ended:
    """Run it to its end, whichever that is."""
    with victim(town, fault, *words, env=env) as started:
        return started.ended(timeout)


def count_calls(town: Cli, *words: str) -> Ended:
    """Run it without a fault, insist on success, and tell its calls."""
    ended = run_with(town, COUNT, *words)
    assert ended.ran.code == 0, ended.ran
    return ended
