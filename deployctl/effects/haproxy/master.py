"""Which processes on this machine are this home's HAProxy, by their command line, and which of them is the master."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deployctl.effects.haproxy.home import CONFIG, config_in
from deployctl.errors import NotPermitted
from deployctl.paths import Path
from deployctl.stdlib import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import StrayProxy
    from deployctl.effects.haproxy.home import HaproxyHome

PLACE = f"/state/haproxy/{CONFIG}"  # the same in every home


def members(home: HaproxyHome) -> list[int]:
    """Return the pids of master and workers, including those that only finish open requests."""
    return [pid for pid in processes() if _is_member(home, pid)]


def find_family(home: HaproxyHome) -> list[int]:
    """Return the same for the master that its pid file names, by parentage: what another master of this home is still
    finishing is not included. All processes are scanned only if the kernel does not report children."""
    master = named_master(home)
    children = [] if master is None else [pid for pid in find_children(master) if _is_member(home, pid)]
    return members(home) if master is None or not children else [master, *children]


def processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def find_master(home: HaproxyHome) -> int | None:
    """Return the master's pid, from the pid file or else by scanning all processes."""
    named = named_master(home)
    if named is not None:
        return named
    return next((pid for pid in members(home) if _is_master(home, pid)), None)


def named_master(home: HaproxyHome) -> int | None:
    """Return the master's pid from the pid file alone, None if that names none."""
    named = _named(home)
    return named if named is not None and _is_master(home, named) else None


def uid_of(pid: int) -> int | None:
    """Return the user a process runs as, None if it has ended. A folder's owner in /proc may be root for other
    reasons."""
    try:
        status = Path("/proc", str(pid), "status").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2])


def require_reader(home: HaproxyHome) -> None:
    """Raise NotPermitted if HAProxy runs as a user who could not read what this process writes for it: it would end at
    its next reload."""
    master = find_master(home)
    uid = None if master is None else uid_of(master)
    if uid is not None and uid not in {0, os.geteuid()}:
        raise NotPermitted(f"HAProxy (pid {master}) runs as uid {uid} and could not read files of uid {os.geteuid()}: it was "
                           "left unchanged and keeps running",
                           remedy=[f"ls -ld {home.folder}", f"sudo chown -R {uid} {home.folder.parent}"])


def workers_of(home: HaproxyHome, master: int) -> list[int]:
    return [pid for pid in members(home) if _parent(pid) == master]


def find_stranded(home: HaproxyHome) -> int | None:
    """Return the master that was started at a path where the home no longer is: it routes traffic, and can never be
    reloaded."""
    master = find_master(home) if home.earlier else None
    config = None if master is None else config_in(_command(master))
    return None if config is None or home.leads_here(config) else master


def find_strays(home: HaproxyHome) -> list[StrayProxy]:
    """Return the masters that were started like ours, from a configuration that no longer exists, except `home`'s own
    and those in other network namespaces: they hold no port of this server, and belong to a container or a test."""
    from deployctl.domain.proxy.traffic import StrayProxy

    found = ((pid, config_in(_command(pid))) for pid in processes() if not _is_member(home, pid))
    missing = {pid: config for pid, config in found
            if config and config.endswith(PLACE) and _shares_ports(pid) and _is_gone(pid, config)}
    return [StrayProxy(pid, config) for pid, config in sorted(missing.items()) if _parent(pid) not in missing]


def _shares_ports(pid: int) -> bool:
    """Return whether that process is in the same network namespace as this one."""
    try:
        return Path("/proc", str(pid), "ns/net").samefile("/proc/self/ns/net")
    except OSError:  # ended, or not ours to look at
        return False


def _is_gone(pid: int, config: str) -> bool:
    """Return whether the file is missing for that process: it may have a root of its own, in a container."""
    try:
        Path(f"/proc/{pid}/root{config}").stat()
    except FileNotFoundError:
        return Path("/proc", str(pid)).exists()
    except OSError:  # not ours to inspect
        return False
    return False


def ensure_pid_file(home: HaproxyHome) -> None:
    """Restore the pid file if it was removed or changed."""
    master = find_master(home)
    if master is not None and master != _named(home):
        home.pid.write_text(f"{master}\n", encoding="ascii")


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has ended in the meantime is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as e:
        raise NotPermitted(f"HAProxy (pid {pid}) belongs to another user", remedy=[f"ps -fp {pid}"]) from e


def find_children(pid: int) -> list[int]:
    """Return the children of a single-threaded process; none if the kernel does not report them."""
    try:
        return [int(child) for child in Path("/proc", str(pid), "task", str(pid), "children").read_bytes().split()]
    except (OSError, ValueError):
        return []


def find_birth(pid: int) -> int | None:
    """Return when that process began, in ticks since boot; None if there is none of that number."""
    try:
        return int(Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def _named(home: HaproxyHome) -> int | None:
    try:
        return int(home.pid.read_bytes())
    except (OSError, ValueError):
        return None


def _is_master(home: HaproxyHome, pid: int) -> bool:
    """A worker has exactly the same command line; its parent is the master."""
    return _is_member(home, pid) and not _is_member(home, _parent(pid))


def _is_member(home: HaproxyHome, pid: int) -> bool:
    return home.named_in(_command(pid))


def _command(pid: int) -> list[str]:
    try:
        return os.fsdecode(Path("/proc", str(pid), "cmdline").read_bytes()).split("\0")  # empty for a zombie
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
