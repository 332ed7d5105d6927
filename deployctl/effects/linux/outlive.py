"""Lets what we leave running outlive whatever started it: a login, a CI job, the watcher's unit.

Their control group is killed as a whole when they end. With systemd, the process gets a unit of its own (a scope: the
same process with the same output, in another group). Otherwise it is moved into a group of its own in every writable
hierarchy. If neither is possible, `find_frailties` reports it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.domain.proxy.endurance import FEW_FILES, Frail, Frailty
from deployctl.paths import Path

UNIT_PREFIX = "deployctl-"  # prefix of the names of our units and groups
OPEN_FILES = 100_000  # as many as haproxy.cfg allows
_KILLING = ("", "name=systemd")  # hierarchies by which an init system ends services: v2, and its own of v1
_FOR_USERS = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # how a user's own systemd is found


@dataclass(frozen=True, slots=True)
class LinuxHost:
    """Where to look; tests use paths of their own."""

    booted: Path = Path("/run/systemd/system")  # exists if systemd is in charge
    proc: Path = Path("/proc")
    lingering: Path = Path("/var/lib/systemd/linger")

    # -- starting -------------------------------------------------------------------------------------------------
    def wrapped(self, words: list[str], name: str, environ: Mapping[str, str]) -> list[str] | None:
        """Return the command that starts it in a unit of its own; None if systemd is not available."""
        root = os.geteuid() == 0
        if not self.booted.is_dir() or (not root and self._is_watched()):
            return None
        from deployctl.effects.linux.file_trust import find_program  # not needed by a rollback

        program = find_program("systemd-run", environ.get("PATH"))
        if program is None:
            return None
        user = [] if root else ["--user"]
        return [program, *user, "--scope", "--quiet", "--collect", f"--unit={UNIT_PREFIX}{name}-{os.urandom(3).hex()}",
                "--", *words]

    def _is_watched(self) -> bool:
        """Return whether this is the watcher's unit, which outlives a user's own systemd."""
        groups = self._groups(os.getpid())
        return any(_is_ours(groups.get(hierarchy, "/")) for hierarchy in _KILLING)

    @property
    def moves(self) -> bool:
        """Return whether processes are moved here: with systemd, that manages them."""
        return not self.booted.is_dir()

    def settle(self, pids: Collection[int], name: str) -> None:
        """Move processes that systemd does not manage into a group of their own. What cannot be moved stays."""
        if not self.moves:
            return
        groups = {pid: found for pid in pids if (found := self._mortal_groups(pid))}
        for hierarchy, mount in self._mounts() if groups else ():
            for pid in (pid for pid, found in groups.items() if not _is_ours(found.get(hierarchy, UNIT_PREFIX))):
                with suppress(OSError):  # not writable for us, or the process has ended
                    _move(pid, mount / f"{UNIT_PREFIX}{name}")

    def _mortal_groups(self, pid: int) -> dict[str, str]:
        """Return the groups of that process that may end before the machine does: neither the root nor init's."""
        first = self._groups(1)
        return {name: group for name, group in self._groups(pid).items() if group not in {"/", first.get(name)}}

    def forget(self, name: str) -> None:
        """Delete the groups of that name (a pattern) that are empty."""
        for group in (group for _, mount in self._mounts() for group in mount.glob(f"{UNIT_PREFIX}{name}")):
            with suppress(OSError):
                group.rmdir()

    # -- inspecting -----------------------------------------------------------------------------------------------
    def find_frailties(self, pid: int) -> tuple[Frail, ...]:
        """Return what may end that process, or block clients from it; also empty if it may not be inspected."""
        return tuple(found for found in (self._group_of(pid), self._files_of(pid)) if found)

    def _group_of(self, pid: int) -> Frail | None:
        groups = self._mortal_groups(pid)
        for group in (groups[hierarchy] for hierarchy in _KILLING if hierarchy in groups):
            if not _is_ours(group):
                return Frail(Frailty.GROUP, group)
            if (user := _user_of(group)) is not None and not (self.lingering / user).exists():
                return Frail(Frailty.LOGIN, user)
        return None

    def _files_of(self, pid: int) -> Frail | None:
        rows = (line.split() for line in _lines(self.proc / str(pid) / "limits") if line.startswith("Max open files"))
        hard = next((row[4] for row in rows), "")
        return Frail(Frailty.FILES, hard) if hard.isdecimal() and int(hard) < FEW_FILES else None

    def _groups(self, pid: int) -> dict[str, str]:
        """Return the group of that process by hierarchy: the controllers of v1, "" for v2."""
        rows = (line.split(":", 2) for line in _lines(self.proc / str(pid) / "cgroup"))
        return {row[1]: row[2] for row in rows if len(row) == 3}

    def _mounts(self) -> Iterator[tuple[str, Path]]:
        """Yield each hierarchy as `_groups` names it, and where its root is mounted."""
        known, seen = self._groups(os.getpid()), set[str]()
        for line in _lines(self.proc / "self/mountinfo"):
            left, _, right = line.partition(" - ")
            root, where = left.split()[3:5]
            kind, _, options = right.split(" ", 2) if right.count(" ") >= 2 else ("", "", "")
            name = _hierarchy(kind, options.split(","), known)
            if name is not None and root == "/" and name not in seen:
                seen.add(name)
                yield name, Path(where)


HERE = LinuxHost()


def _hierarchy(kind: str, options: list[str], known: Collection[str]) -> str | None:
    if kind == "cgroup2":
        return ""
    return next((name for name in known if name and set(name.split(",")) <= set(options)), None) if kind == "cgroup" else None


def _move(pid: int, group: Path) -> None:
    group.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # v1 accepts no process while these are empty
        if (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())
    (group / "cgroup.procs").write_text(str(pid))


def _is_ours(group: str) -> bool:
    """The watcher's unit counts, too: it ends only its own process (KillMode=process)."""
    last = group.rpartition("/")[2]
    return last.startswith(UNIT_PREFIX) or last == "deployctl.service"


def _user_of(group: str) -> str | None:
    """Return whose own systemd has that group, `…/user@1000.service/…`; None if it is the machine's."""
    import pwd

    uid = group.partition("/user@")[2].partition(".service")[0]
    if not uid.isdecimal():
        return None
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except KeyError:
        return uid


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def raise_open_files() -> None:
    """Let this process, and what it starts, open as many files as allowed: the default of a login is often low."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in {soft, hard} or soft >= OPEN_FILES:
        return
    for most in (max(hard, OPEN_FILES), hard):  # only root may exceed the hard limit
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, OPEN_FILES), most))
            return


def bus_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what systemd-run needs to find a user's systemd."""
    found = {name: environ[name] for name in _FOR_USERS if name in environ}
    usual = Path(f"/run/user/{os.geteuid()}")
    return found if "XDG_RUNTIME_DIR" in found or not usual.is_dir() else {**found, "XDG_RUNTIME_DIR": str(usual)}
