"""Which processes of this machine are this home's HAProxy, by their command line, and who of them is the master."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from deployctl.effects.haproxy_home import HaproxyHome
from deployctl.errors import NotPermitted


def members(home: HaproxyHome) -> list[int]:
    """Return the pids of master and workers, those included that only finish what they hold."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if _is_member(home, pid)]


def find_master(home: HaproxyHome) -> int | None:
    """Return the master's pid, by the pid file or else by looking through all processes."""
    named = _named(home)
    if named is not None and _is_master(home, named):
        return named
    return next((pid for pid in members(home) if _is_master(home, pid)), None)


def ensure_pid_file(home: HaproxyHome) -> None:
    """Let the pid file name the master again when somebody has removed or changed it."""
    master = find_master(home)
    if master is not None and master != _named(home):
        home.pid.write_text(f"{master}\n", encoding="ascii")


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has ended meanwhile is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as e:
        raise NotPermitted(f"HAProxy (pid {pid}) belongs to another user", remedy=[f"ps -fp {pid}"]) from e


def find_children(pid: int) -> list[int]:
    """Return the processes that a process of one thread has started; none where the kernel does not tell."""
    try:
        return [int(child) for child in Path("/proc", str(pid), "task", str(pid), "children").read_text("ascii").split()]
    except (OSError, ValueError):
        return []


def find_birth(pid: int) -> int | None:
    """Return when that process began, in ticks since the boot; None when there is none of that number."""
    try:
        return int(Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def _named(home: HaproxyHome) -> int | None:
    try:
        return int(home.pid.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _is_master(home: HaproxyHome, pid: int) -> bool:
    """A worker has the very same command line; its parent is the master."""
    return _is_member(home, pid) and not _is_member(home, _parent(pid))


def _is_member(home: HaproxyHome, pid: int) -> bool:
    try:
        command = os.fsdecode(Path("/proc", str(pid), "cmdline").read_bytes())  # empty for a zombie
    except OSError:
        return False
    return home.named_in(command.split("\0"))


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
