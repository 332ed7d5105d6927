"""One instance of an exclusive component at a time: the launcher and the lock files that containers get, and who holds a
lock.

A lock file is never replaced: a container that has it bound in would keep the former one, and another could take the new
one beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deployctl.errors import LauncherRefused
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.effects.linux.stand_in import LinuxStandIn
    from deployctl.ports import EngineInfo
    from deployctl.ports.exclusion import StandInLack

_SYS_ADMIN = 21  # its bit among the capabilities: another network namespace
_GENERATIONS = 16  # processes between a container's main one and the one that took the lock, at most


class LinuxExclusion:
    """`state` is the home's private folder: what is in it is read by root and bound into containers one by one."""

    def __init__(self, state: Path) -> None:
        self._launchers, self._locks = state / "launcher", state / "locks"

    # -- what a container gets ---------------------------------------------------------------------------------------
    def lay_launcher(self, architecture: str, engine: EngineInfo) -> str:
        """Return a copy of the launcher's file: the installed one may be in a folder that the engine cannot read."""
        from deployctl.effects.launcher import launcher_for

        source = launcher_for(architecture)
        if source is None:
            raise LauncherRefused(f"the launcher exists for amd64 and arm64, not for {architecture or 'this'} images")
        if not engine.local:
            raise LauncherRefused("the launcher is a file on this host, and the engine is on another one")
        self._launchers.mkdir(parents=True, exist_ok=True)
        if os.statvfs(self._launchers).f_flag & os.ST_NOEXEC:
            raise LauncherRefused(f"no program may run from {self._launchers}: its file system is mounted with noexec",
                                  remedy=[f"findmnt -T {self._launchers}"])
        return str(_copy(source.read_bytes(), self._launchers, source.name))

    def lay_lock(self, app: AppName, component: ComponentName) -> str:
        folder = self._locks / app
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / component
        with suppress(FileExistsError):
            os.close(os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444))
        os.chmod(lock, 0o444)  # noqa: PTH101  the container's user opens it, whatever our umask is
        return str(lock)

    def forget_locks(self, app: AppName) -> None:
        folder = self._locks / app
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):  # noqa: PTH208
                (folder / name).unlink(missing_ok=True)
            os.rmdir(folder)  # noqa: PTH106

    # -- who holds a lock --------------------------------------------------------------------------------------------
    def holders(self, lock: str) -> tuple[int, ...]:
        from deployctl.effects.linux.lock_holder import holders

        try:
            return tuple(holders(os.stat(lock).st_ino))  # noqa: PTH116
        except FileNotFoundError:
            return ()

    def holds(self, lock: str, main: int) -> bool:
        return bool(main) and any(_descends(holder, main) for holder in self.holders(lock))

    # -- what answers while no container has the address ---------------------------------------------------------------
    def stand_in_lack(self, *, bridged: bool) -> StandInLack | None:
        from deployctl.effects.linux.neighbours import NET_ADMIN, may
        from deployctl.ports.exclusion import StandInLack

        if not bridged:
            return StandInLack.NOT_LOCAL
        return None if may(NET_ADMIN) and may(_SYS_ADMIN) else StandInLack.NOT_PERMITTED

    @contextmanager
    def stand_in(self, network: AppNetwork, address: str, mac: str, *, after: int) -> Iterator[LinuxStandIn]:
        from deployctl.effects.linux.stand_in import LinuxStandIn

        prefix = int(network.subnet.partition("/")[2])
        with LinuxStandIn.prepared(network.bridge, f"{address}/{prefix}", mac, after=after) as made:
            yield made


def _copy(program: bytes, folder: Path, name: str) -> Path:
    """Put the program there under a name that follows from its bytes: containers have an earlier one bound in."""
    from deployctl.digest import sha256

    path = folder / f"{name}-{sha256(program).hexdigest()[:12]}"
    if path.exists() and path.read_bytes() == program:
        return path
    part = folder / f".{path.name}.{os.getpid()}"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755), "wb") as file:
        file.write(program)
        os.fchmod(file.fileno(), 0o755)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path


def _descends(pid: int, main: int) -> bool:
    """Return whether it is that process or one below it: with an init, the program is its child."""
    for _ in range(_GENERATIONS):
        if pid == main:
            return True
        parent = _parent(pid)
        if parent is None or parent <= 1:
            return False
        pid = parent
    return False


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
