"""A file system in memory, /run/deployctl/HOME, whose folders containers get their secrets from.

Nobody but root can enter it. What is in it is lost at a reboot, and then laid again before Docker starts its containers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from deployctl.dataclass import dataclass
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, backing_of, owner_of
from deployctl.effects.linux.mounts import find_mount, is_memory, mount_tmpfs
from deployctl.errors import NotPermitted, Refused
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.secret import SecretFile

ROOT = Path("/run/deployctl")
APART = "~"
_SIZE = "mode=0700,size=64m"
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class SecretMemory:
    """`place` is a folder of one home."""

    place: Path

    def ensure(self) -> Path:
        """Return the mounted folder. Raises NotPermitted without root, Refused if it is not in memory."""
        if os.geteuid() != 0:
            raise NotPermitted("secrets need root: their files are laid into memory, with the owner that a container needs",
                               remedy=["run deployctl as root, in a home of root"], code="secrets_need_root")
        for folder in (self.place.parent, self.place):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
            _require_own(folder)
        with _alone(self.place.parent):  # a second mount would hide what the first one has
            if not os.path.ismount(self.place):
                self._mount()
        if not self.is_memory():
            raise Refused(f"{self.place} is not in memory (tmpfs), so no secret is written there",
                          remedy=[f"mount -t tmpfs -o {_SIZE} tmpfs {self.place}", "deployctl doctor"],
                          code="secrets_not_in_memory")
        self.place.chmod(0o700)
        return self.place

    def is_memory(self) -> bool:
        """Return whether what is written there stays in memory."""
        return is_memory(self.place)

    @property
    def may_swap(self) -> bool:
        """Return whether the kernel may write it to swap."""
        mounted = find_mount(self.place)
        return mounted is None or "noswap" not in mounted.options

    def _mount(self) -> None:
        """Mount it. Where only this process would see the mount, /run itself has to do: it usually is in memory."""
        around = find_mount(self.place)
        if around is not None and around.receives_only:
            return
        if not mount_tmpfs(self.place, f"{_SIZE},noswap"):  # since Linux 6.4
            mount_tmpfs(self.place, _SIZE)

    # -- the folder of one instance -----------------------------------------------------------------------------------
    def folder(self, app: AppName, one: InstanceId) -> Path:
        """Return its path, whether it exists or not."""
        return self.place / owner_of(app) / which_instance(app, one)

    def ensure_folder(self, app: AppName, one: InstanceId) -> Path:
        self.ensure()
        folder = self.folder(app, one)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)  # whatever the umask is: any user of the container has to get in, and nobody else comes this far
        return folder

    def lay(self, app: AppName, one: InstanceId, files: Sequence[tuple[SecretFile, bytes]]) -> None:
        """Write these files and remove all others. Each one appears at once, with its owner and mode."""
        folder = self.ensure_folder(app, one)
        for file, value in files:
            part = folder / f".{file.name}.part"
            with os.fdopen(os.open(part, _FRESH, 0o600), "wb") as out:
                out.write(value)
            os.chown(part, file.uid, file.gid)
            part.chmod(file.mode)
            part.replace(folder / file.name)
        for path in [*folder.iterdir()]:
            if path.name not in {file.name for file, _ in files}:
                path.unlink()

    def has(self, app: AppName, one: InstanceId, names: Sequence[str]) -> bool:
        folder = self.folder(app, one)
        return all((folder / name).is_file() for name in names)

    def remove(self, app: AppName, one: InstanceId | None = None) -> None:
        """Remove the folder of an instance, or all of the app with its backing components. Absent is fine."""
        from shutil import rmtree  # expensive to import

        rmtree(self.place / app if one is None else self.folder(app, one), ignore_errors=True)
        with suppress(OSError):  # others have folders there
            (self.place / owner_of(app)).rmdir()

    def contents(self) -> Iterator[bytes]:
        """Yield every value that lies there."""
        with suppress(OSError):
            for path in self.place.glob("*/*/*"):
                yield path.read_bytes()


def which_instance(app: AppName, one: InstanceId) -> str:
    """Return what a folder or a list of an instance is called, in the folder of its app: 7.web; db~3.db of shop/db, whose
    releases are numbered apart from those of shop."""
    own = f"{one.release}.{one.component}" + (f".{one.replica}" if one.replica > 1 else "")
    return own if (backing := backing_of(app)) is None else f"{backing}{APART}{own}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on that folder among all threads and processes."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _require_own(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise NotPermitted(f"{folder} is not a folder that only root can write to", remedy=[f"ls -ld {folder}"])
