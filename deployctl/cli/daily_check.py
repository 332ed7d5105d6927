"""Verifies the whole ledger once a day while `deployctl serve` runs: opening it reads little, and damage must not wait.

`deployctl ledger verify` runs as a separate process, so that its memory and CPU time do not burden the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Event, Thread

from deployctl.paths import Path

FIRST_CHECK_SECONDS = 600.0  # seconds after the start: a start is busy enough
CHECK_INTERVAL = 86_400.0
STOP_WAIT_SECONDS = 5.0  # seconds that `stop` waits


def verify_command(home: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "deployctl", "--home", str(home), "-o", "json", "ledger", "verify"]


class DailyCheck:
    """One thread that runs the command and reports errors; an intact ledger is not mentioned."""

    def __init__(self, command: Sequence[str], say: Callable[[str], None], *, first: float = FIRST_CHECK_SECONDS) -> None:
        self._command, self._say, self._first = command, say, first
        self._ended = Event()
        self._thread = Thread(target=self._run, name="daily check", daemon=True)
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if (child := self._child) is not None:
            child.terminate()
        self._thread.join(STOP_WAIT_SECONDS)

    def _run(self) -> None:
        wait = self._first
        while not self._ended.wait(wait):
            self._look()
            wait = CHECK_INTERVAL

    def _look(self) -> None:
        try:
            with subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True) as self._child:
                output, _ = self._child.communicate()
        except OSError as e:
            self._say(f"serve: could not start the daily check of the ledger: {e.strerror or e}")
            return
        if self._child.returncode and not self._ended.is_set():
            self._say(f"serve: daily check of the ledger: {_error_of(output)}")


def _error_of(output: str) -> str:
    """Return the error and first remedy from the command's JSON output."""
    try:
        error = json.loads(output)["error"]
        return " ".join([error["message"], *error["remedy"][:1]])
    except (ValueError, KeyError, TypeError):
        return "it did not finish. Run: deployctl ledger verify"
