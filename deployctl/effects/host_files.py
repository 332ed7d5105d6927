"""Config files as they are below config/, and copies of them in state/files, each named by the hash of its mode, owner and
bytes.

A copy is never written to again: a container has it as a read-only bind. While an upgrade is about to use files, a list
in the same folder, `APP.next`, keeps them from being removed by another app's; a lock orders the two.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from deployctl.dataclass import dataclass
from deployctl.domain.host.allowance import covers
from deployctl.domain.host.permissions import find_fault, trusted_uids
from deployctl.domain.images.mounts import file_hash
from deployctl.effects.linux.file_trust import walk
from deployctl.effects.linux.whole_file import PART_SUFFIX, write_whole
from deployctl.errors import DeployctlError, Invalid, NotFound, NotPermitted
from deployctl.paths import Path
from deployctl.ports.host_files import FileFault, HostPath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.permissions import PathFacts
    from deployctl.domain.images.mounts import ConfigFile
    from deployctl.domain.inputs.names import AppName

MAX_FILE_BYTES = 1024 * 1024  # of one config file
ENGINES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock",
           "/run/docker/containerd/containerd.sock")  # who may talk to one of these is root on this server
_HASH_CHARACTERS = 64
_NEXT = ".next"  # suffix of the list of what an app's upgrade is about to use
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """`config` has the files of people, `folder` the copies; that is created with the first one. `engine` is its socket."""

    config: Path
    folder: Path
    engine: str = ""

    def read(self, source: str) -> bytes:
        path = self.config / source
        if not path.resolve().is_relative_to(self.config.resolve()):
            raise Invalid(f"config/{source} leads out of config/. Nothing was changed.",
                          remedy=["copy the file itself to config/"], code="config_file_elsewhere")
        try:
            with os.fdopen(os.open(path, _OPEN), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise IsADirectoryError
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise NotFound(f"the file config/{source} does not exist. Nothing was changed.", code="config_file_missing",
                           remedy=[f"restore config/{source}", "or remove it from [files]"]) from None
        except IsADirectoryError:
            raise Invalid(f"config/{source} is not a file. Nothing was changed.", remedy=["name files one by one"]) from None
        except PermissionError:
            raise NotPermitted(f"this user has no right to read config/{source}. Nothing was changed.",
                               remedy=[f"ls -l {path}"]) from None
        if len(content) > MAX_FILE_BYTES:
            raise Invalid(f"config/{source} is larger than 1 MiB, the limit for a config file. Nothing was changed.",
                          remedy=["put it into the image", "or mount a volume"], code="config_file_too_large")
        return content

    def keep(self, app: AppName, contents: Mapping[ConfigFile, bytes]) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with self._locked():
            write_whole(self.folder / f"{app}{_NEXT}", json.dumps(sorted({file.sha256 for file in contents})))
            for file, content in contents.items():
                if self.find_fault(file) is not None:
                    self._write(file, content)

    def _write(self, file: ConfigFile, content: bytes) -> None:
        part = self.folder / f".{file.sha256}{PART_SUFFIX}"
        part.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as made:
                made.write(content)
                made.flush()
                if file.user:
                    os.fchown(made.fileno(), *file.owner)
                os.fchmod(made.fileno(), file.mode)
                os.fsync(made.fileno())
            part.replace(self.folder / file.sha256)
        except PermissionError as e:
            part.unlink(missing_ok=True)
            raise NotPermitted(f"config/{file.source} cannot be given to user {file.user}: only root may. Nothing was changed.",
                               remedy=["remove its user from [files]"]) from e
        except OSError as e:
            part.unlink(missing_ok=True)
            raise DeployctlError(f"config/{file.source} could not be kept: {e.strerror}. Nothing was changed.",
                                 remedy=[f"df -h {self.folder}"]) from e

    def path(self, file: ConfigFile) -> str:
        return str(self.folder / file.sha256)

    def find_fault(self, file: ConfigFile) -> FileFault | None:
        try:
            with os.fdopen(os.open(self.path(file), _OPEN | os.O_NOFOLLOW), "rb") as there:
                found, content = os.fstat(there.fileno()), there.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return FileFault.MISSING
        except OSError:
            return FileFault.CHANGED
        owned = not file.user or (found.st_uid, found.st_gid) == file.owner
        same = owned and stat.S_IMODE(found.st_mode) == file.mode and file_hash(file, content) == file.sha256
        return None if same else FileFault.CHANGED

    def tidy(self, app: AppName, needed: Callable[[], Collection[str]]) -> None:
        if not self.folder.is_dir():
            return
        with self._locked():
            (self.folder / f"{app}{_NEXT}").unlink(missing_ok=True)
            used = {*needed(), *self._about_to_be_used()}
            for path in self.folder.iterdir():
                left = path.name.endswith(PART_SUFFIX)
                if left or (len(path.name) == _HASH_CHARACTERS and path.name not in used):
                    path.unlink(missing_ok=True)

    def _about_to_be_used(self) -> Iterator[str]:
        for path in self.folder.iterdir():
            if path.name.endswith(_NEXT):
                with suppress(OSError, ValueError):
                    yield from json.loads(path.read_text())

    def look(self, path: str) -> HostPath:
        real = os.path.realpath(path)
        try:
            found = list(walk(Path(path)))
        except OSError:
            return HostPath(real, exists=False)
        sockets = {os.path.realpath(one) for one in (*ENGINES, self.engine) if one}
        own = [os.path.realpath(one) for one in (self.config, self.folder.parent)]
        return HostPath(real, loose=_loose(found), engine=any(covers([real], one) for one in sockets),
                        home=covers(own, real) or any(covers([real], one) for one in own))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _loose(found: Sequence[PathFacts]) -> str:
    """Return who else could put something else at the end of that way: those who may write to a folder on it. In a folder like
    /tmp it is the owner of what lies there."""
    trusted, last = trusted_uids(os.geteuid(), os.environ), found[-1]
    faults = [fault for one in found[:-1] if (fault := find_fault(one, trusted)) is not None]
    shared = any(one.path == str(Path(last.path).parent) and one.mode & stat.S_ISVTX for one in found[:-1])
    if shared and last.owner not in trusted:
        return f"{last.path} belongs to uid {last.owner}"
    return faults[0].sentence(lambda uid: f"uid {uid}") if faults else ""
