"""What the demo leaves running: each process is recorded in the demo's folder, and only recorded processes are
ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from deployctl.effects.linux.outlive import HERE

NOTE_SUFFIX = ".process"  # the end of a note's name
STOP_WAIT_SECONDS = 15.0  # seconds before one that was asked to end is killed
_children: list[subprocess.Popen[bytes]] = []  # of this process: to be reaped if they end before it


def start(name: str, command: list[str], home: Path) -> None:
    """Start it where it outlives this login, with a log in `home`, and record it there."""
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(_lasting(command, f"demo-{name}"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd="/", start_new_session=True)
    HERE.settle([process.pid], f"demo-{name}")
    _children.append(process)
    (home / f"{name}{NOTE_SUFFIX}").write_text(json.dumps({"pid": process.pid, "mark": _mark(process.pid)}))


def _lasting(command: list[str], name: str) -> list[str]:
    """Return the command in a unit of its own if systemd provides one."""
    trial = HERE.wrapped(["true"], name, os.environ)
    if trial is None or subprocess.run(trial, capture_output=True, check=False, timeout=STOP_WAIT_SECONDS).returncode:
        return command
    return HERE.wrapped(command, name, os.environ) or command


def end_all(home: Path) -> list[str]:
    """End every process that is recorded in `home`, and return their names."""
    ended = [note.stem for note in sorted(home.glob(f"*{NOTE_SUFFIX}")) if _end(note)]
    _children[:] = [child for child in _children if child.poll() is None]
    HERE.forget("demo-*")
    return ended


def runs(name: str, home: Path) -> bool:
    return _noted(home / f"{name}{NOTE_SUFFIX}") is not None


def _end(note: Path) -> bool:
    pid = _noted(note)
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + STOP_WAIT_SECONDS
        if pid is not None and _noted(note) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while _noted(note) is not None and time.monotonic() < until:
            time.sleep(0.05)
    note.unlink()
    return pid is not None


def _noted(note: Path) -> int | None:
    """Return the pid while that process is alive: a pid that was reused since is not ours."""
    try:
        noted = json.loads(note.read_text())
        pid, mark = int(noted["pid"]), str(noted["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if pid > 1 and mark and mark == _mark(pid) else None


def _mark(pid: int) -> str:
    """Return when that process began and in which boot, empty if it has ended: unique to one process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _mark_by_ps(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"


def _mark_by_ps(pid: int) -> str:
    """Return the same without /proc."""
    if Path("/proc/self/stat").exists():
        return ""
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()
