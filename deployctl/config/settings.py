"""The paths of this home. No file is read here.

A home found by walking up from the working directory must belong to us: a foreign /tmp/config/server.toml would choose
the programs that we run. Whether others may write to a home, including a named one, is checked by trusted_files.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.domain.host.permissions import trusted_uids
from deployctl.errors import Invalid, NotPermitted
from deployctl.paths import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The paths of one home. `home` is absolute and contains no links."""

    home: Path

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise Invalid(f"home {ascii(str(self.home))[:60]} is not an absolute path.", remedy=["Write an absolute path."])

    @property
    def config_dir(self) -> Path:
        return self.home / "config"

    @property
    def server_file(self) -> Path:
        return self.config_dir / "server.toml"

    def app_file(self, app: str) -> Path:
        return self.config_dir / f"{app}.toml"

    @property
    def state_dir(self) -> Path:
        return self.home / "state"

    @property
    def ledger(self) -> Path:
        return self.state_dir / "ledger.db"

    @property
    def kept_logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def kept_files(self) -> Path:
        return self.state_dir / "files"

    @property
    def secrets(self) -> Path:
        return self.state_dir / "secrets"

    @property
    def metrics(self) -> Path:
        return self.state_dir / "metrics.db"

    @property
    def haproxy_dir(self) -> Path:
        return self.state_dir / "haproxy"

    def ensure_state(self) -> None:
        """Make state/ and its contents private. Raises NotPermitted if another user created it first."""
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in (self.state_dir, self.haproxy_dir):
            _ensure_private(folder)


def _ensure_private(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        _require_ours(folder, folder.lstat())
        raise
    except OSError as error:
        raise NotPermitted(f"{folder} is a symbolic link or not a directory.", remedy=[f"ls -ld {folder}"]) from error
    try:
        _require_ours(folder, os.fstat(handle))
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)


def _require_ours(folder: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotPermitted(
            f"{folder} belongs to another user (uid {found.st_uid}).",
            remedy=[f"ls -ld {folder}", f"{as_user(found.st_uid)} deployctl status"],
        )
    if found.st_mode & stat.S_IWOTH:
        raise NotPermitted(
            f"{folder} is world-writable; its contents cannot be trusted.",
            remedy=[f"ls -la {folder}", f"chmod 700 {folder}"],
        )


def as_user(uid: int) -> str:
    """Return the command prefix for running something as that user."""
    return "sudo" if uid == 0 else "sudo -u " + (user_name(uid) or f"'#{uid}'")


def user_name(uid: int) -> str | None:
    import pwd  # rarely needed

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


# -- finding the home -------------------------------------------------------------------------------------------
def find_home(flag: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return --home, else DEPLOYCTL_HOME, else the nearest home at or above the working directory, else the user's
    own."""
    if flag is not None:
        return _named(flag, "--home", cwd)
    if "DEPLOYCTL_HOME" in environ:
        return _named(environ["DEPLOYCTL_HOME"], "DEPLOYCTL_HOME", cwd)
    return _around(cwd.resolve(), environ) or _data_folder(environ)


def _named(text: str, name: str, cwd: Path) -> Path:
    if not text or not text.isprintable():
        raise Invalid(f"{name} {ascii(text)[:60]} is not a directory.", remedy=[f"Set {name} to a path, or omit it."])
    home = (cwd / text).resolve()
    if home.exists() and not home.is_dir():
        raise Invalid(f"{name} {ascii(text)[:60]} is not a directory.", remedy=[f"ls -ld {home}"])
    return home


def _around(cwd: Path, environ: Mapping[str, str]) -> Path | None:
    for folder in (cwd, *cwd.parents):
        for marker in (folder / "config" / "server.toml", folder / "state" / "ledger.db"):
            if _is_file(marker):
                _require_known_owner(folder, marker, environ)
                return folder
    return None


def _is_file(path: Path) -> bool:
    with suppress(PermissionError):  # a folder that we may not enter is not our home
        return path.is_file()
    return False


def _require_known_owner(home: Path, marker: Path, environ: Mapping[str, str]) -> None:
    known = trusted_uids(os.geteuid(), environ)
    for path in (home, marker.parent, marker):
        owner = path.lstat().st_uid
        if owner not in known:
            raise NotPermitted(
                f"{home} looks like a deployctl home, but {path} belongs to another user (uid {owner}).",
                remedy=[f"{as_user(owner)} deployctl --home {home} status   # as its owner",
                        "or work from another directory"],
            )


def _data_folder(environ: Mapping[str, str]) -> Path:
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG rule: a relative one is ignored
        user = Path(environ.get("HOME", ""))
        if not user.is_absolute():
            raise Invalid("No home was given, and HOME is not set.", remedy=["deployctl --home /srv/deployctl"])
        data = user / ".local" / "share"
    return (data / "deployctl").resolve()
