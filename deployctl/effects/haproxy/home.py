"""The paths of HAProxy's files and sockets, and the one lock of a home around everything that touches them.

A Unix socket's path must be short, and HAProxy's `-S` splits at commas: a home with a long or unusual path gets a short
private folder for its sockets, always the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from deployctl.dataclass import asdict, dataclass
from deployctl.digest import sha256
from deployctl.domain.inputs.names import AppName
from deployctl.effects.linux.whole_file import write_whole
from deployctl.errors import NotPermitted, ProxyUnavailable
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.emergency import FlipNote
    from deployctl.errors import DeployctlError
    from deployctl.ports import Clock

MAX_SOCKET_PATH = 90  # of a socket's path; HAProxy appends to it while it binds
FROZEN = 0.2  # seconds before the lock's holder is inspected
LOCK_WAIT_SECONDS = 30.0  # seconds to wait for another process of ours: a rejected reload alone takes two
CONFIG = "haproxy.cfg"
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-")  # of a path that needs no quotes


@dataclass(frozen=True, slots=True)
class HaproxyHome:
    """The paths of one home. `folder` is absolute; `earlier` are the folders where the home was before it was moved."""

    folder: Path
    earlier: tuple[Path, ...] = ()

    @property
    def config(self) -> Path:
        return self.folder / CONFIG

    @property
    def pid(self) -> Path:
        return self.folder / "haproxy.pid"

    @property
    def log(self) -> Path:
        return self.folder / "haproxy.log"

    @property
    def worker(self) -> Path:
        return self.sockets / "haproxy.sock"

    @property
    def master(self) -> Path:
        return self.sockets / "master.sock"

    @property
    def refused(self) -> Path:
        """The own responses of workers that have exited."""
        return self.folder / "refused.log"

    @property
    def gates(self) -> str:
        """Path of the private binds, without the end of their names."""
        return str(self.sockets / "gate.")

    def leases(self) -> dict[str, str]:
        """Return the pools that releases with replicas lease, from the file; nothing in a home without replicas."""
        try:
            found = (self.folder / "pool.map").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        from deployctl.effects.haproxy.config.maps import read_map

        return read_map(found)

    def gate(self, token: str) -> Path:
        """Return the private bind of the configuration with that token: a deleted one cannot return, but the next
        configuration has another."""
        return Path(f"{self.gates}{token[-8:]}")

    def sweep_gates(self, *, but: str | None = None) -> None:
        """Delete the private binds of configurations other than the one with that token."""
        for path in self.sockets.glob("gate.*"):
            if but is None or path != self.gate(but):
                path.unlink(missing_ok=True)

    @property
    def sockets(self) -> Path:
        longest = str(self.folder / "haproxy.sock")
        fits = _PLAIN.issuperset(longest) and len(longest) <= MAX_SOCKET_PATH
        return self.folder if fits else self._short_folder()

    def _short_folder(self) -> Path:
        mark = sha256(os.fsencode(self.folder)).hexdigest()[:12]
        above = "/run" if self._owner() == 0 else "/tmp"  # noqa: S108 - made 0700 and checked below
        return Path(above, f"deployctl-{mark}")

    def _owner(self) -> int:
        return self.folder.stat().st_uid if self.folder.exists() else os.geteuid()

    def ensure_folders(self) -> None:
        """Create the folders for this user alone, in a home that has its state. Raises NotPermitted if another user
        created them first."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.sockets != self.folder:
            _ensure_ours(self.sockets)

    def remove_short_folder(self) -> None:
        """Remove the sockets' own folder, if there is one and it is empty."""
        if self.sockets != self.folder:
            with suppress(OSError):
                self.sockets.rmdir()

    def named_in(self, command: list[str]) -> bool:
        """Return whether that command line is the one of this home's HAProxy, started here or at an earlier path."""
        config = config_in(command)
        return config is not None and (self.leads_here(config) or config in [str(at / CONFIG) for at in self.earlier])

    def leads_here(self, config: str) -> bool:
        """Return whether that path means this home's configuration, including through a link that a move has left
        behind."""
        if config == str(self.config):
            return True
        return config.endswith(f"/{CONFIG}") and os.path.realpath(config) == os.path.realpath(self.config)

    def former_workers(self) -> list[Path]:
        """Return where a worker that was started at an earlier path may still respond: its socket moved along, or did
        not."""
        return [self.worker, self.folder / self.worker.name, *(HaproxyHome(at).worker for at in self.earlier)]


def config_in(command: list[str]) -> str | None:
    """Return the configuration that a command line starts HAProxy from; None if it is not such a command."""
    return next((command[i + 1] for i, word in enumerate(command[:-1]) if word == "-f"), None)


def _ensure_ours(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise NotPermitted(f"{folder} is accessible to others", remedy=[f"ls -ld {folder}", f"sudo rm -rf {folder}"])


@contextmanager
def proxy_lock(home: HaproxyHome, clock: Clock, *, patience: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
    """Hold the home's proxy lock while inside; system errors are raised as ours."""
    try:
        home.ensure_folders()
        handle = os.open(home.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _wait_for(handle, clock, patience)
            yield
        finally:
            os.close(handle)
    except OSError as e:
        raise _translated(e, home) from e


def _wait_for(handle: int, clock: Clock, patience: float) -> None:
    began = clock.now()
    while not _take(handle):
        if clock.now() - began >= FROZEN:
            from deployctl.effects.linux.lock_holder import end_frozen_holder

            end_frozen_holder(handle)
        if clock.now() - began >= patience:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace")
            raise ProxyUnavailable(
                f"another deployctl process ({holder}) has held the lock on HAProxy's files for {patience:.0f} s",
                remedy=[f"ps -fp {holder}"],
            )
        clock.sleep(0.002)
    os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)  # for the message above; only the lock matters


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _translated(error: OSError, home: HaproxyHome) -> DeployctlError:
    message = f"cannot use {error.filename or home.folder}: {error.strerror or error}"
    if isinstance(error, PermissionError):
        return NotPermitted(message, remedy=[f"ls -ld {home.folder}"])
    return ProxyUnavailable(message, remedy=[f"df -h {home.folder}"])


# -- notes beside its files ----------------------------------------------------------------------------------------
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def notes_file(home: HaproxyHome) -> Path:
    return home.folder / "emergency.jsonl"


def add_note(home: HaproxyHome, note: FlipNote) -> None:
    """Append it and flush it to disk. A line torn by a power cut does not swallow this one."""
    path = notes_file(home)
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    line = ("\n" if torn else "") + json.dumps(asdict(note)) + "\n"
    with os.fdopen(os.open(path, _APPEND, 0o600), "wb") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read_notes(home: HaproxyHome) -> list[FlipNote]:
    """Return the notes, earliest first."""
    try:
        lines = notes_file(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [note for line in lines if (note := _parse(line)) is not None]


def forget_notes(home: HaproxyHome, taken: Collection[FlipNote]) -> None:
    """Keep what was noted in the meantime; without notes there is no file. The caller holds the lock."""
    left = [note for note in read_notes(home) if note not in taken]
    if left:
        write_whole(notes_file(home), "".join(json.dumps(asdict(note)) + "\n" for note in left))
    else:
        notes_file(home).unlink(missing_ok=True)


def _parse(line: str) -> FlipNote | None:
    from deployctl.domain.proxy.emergency import FlipNote

    try:
        raw = json.loads(line)
        source = raw["source"]
        return FlipNote(str(raw["at"]), AppName(raw["app"]), None if source is None else int(source),
                        int(raw["target"]), str(raw["version"]), str(raw["actor"]), str(raw["note"]))
    except (ValueError, KeyError, TypeError):
        return None
