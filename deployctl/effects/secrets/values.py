"""Values at rest, `state/secrets/APP/NAME@ID.age`: one file for each value, which `age` opens with the key file. A link
`NAME.age` names the current one. A backing component has the values of its app."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.effects.linux.whole_file import write_whole
from deployctl.effects.secrets.key import SecretKey, make_key, read_key
from deployctl.errors import DeployctlError, NotFound
from deployctl.paths import Path
from deployctl.ports.secrets import HeldValue

SUFFIX = ".age"


@dataclass(frozen=True, slots=True)
class ValueFiles:
    """`folder` is created with the first value, and `now` returns the time as ISO 8601, UTC."""

    folder: Path
    key_file: Path
    now: Callable[[float | None], str]

    def set(self, app: AppName, name: str, value: bytes) -> tuple[str, bool]:
        key = self.key(make=True)
        id_ = key.id_of(app, name, value)
        if self.current(app).get(name) == id_ and self._holds(key, app, name, id_, value):
            return id_, False
        for folder in (self.folder, self.of(app)):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(self._file(app, name, id_), key.encrypt(value))
        self._point(app, name, id_)
        return id_, True

    def _holds(self, key: SecretKey, app: AppName, name: str, id_: str, value: bytes) -> bool:
        with suppress(DeployctlError):  # a damaged file is written again
            return self.read(app, name, id_, key) == value
        return False

    def _point(self, app: AppName, name: str, id_: str) -> None:
        link = self._link(app, name)
        part = link.with_name(f".{link.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        os.symlink(self._file(app, name, id_).name, part)  # noqa: PTH211
        part.replace(link)

    def key(self, *, make: bool = False) -> SecretKey:
        """Raises AttentionNeeded if there is none although there are values: another one could not read them."""
        if make and not self.key_file.exists() and not any(self._files(app) for app in self.apps()):
            self.folder.parent.mkdir(mode=0o700, exist_ok=True)
            return make_key(self.key_file, at=self.now(None))
        return read_key(self.key_file)

    def read(self, app: AppName, name: str, id_: str, key: SecretKey) -> bytes:
        """Raises NotFound if it is not held."""
        try:
            text = self._file(app, name, id_).read_bytes()
        except OSError:
            again = f"deployctl secret set {owner_of(app)} {name}, then deployctl upgrade {app} VERSION"
            raise NotFound(f"the value of {name} that this release of {app} was deployed with is no longer held",
                           code="secret_gone", remedy=[again]) from None
        return key.decrypt(text, what=f"the secret {name} of {app}")

    def every(self) -> Iterator[bytes]:
        """Yield all values of the home."""
        key = self.key()
        for app in self.apps():
            for name, id_ in self._files(app):
                yield self.read(app, name, id_, key)

    # -- which there are ----------------------------------------------------------------------------------------------
    def apps(self) -> Sequence[AppName]:
        with suppress(OSError):
            return sorted(AppName(one.name) for one in self.folder.iterdir() if one.is_dir())
        return []

    def current(self, app: AppName) -> Mapping[str, str]:
        found = {}
        for path in self._paths(app):
            if path.is_symlink() and (named := _named(path.readlink().name)) and path.name == f"{named[0]}{SUFFIX}":
                found[named[0]] = named[1]
        return found

    def held(self, app: AppName) -> Sequence[HeldValue]:
        current = self.current(app)
        found = [HeldValue(name, id_, self._set_at(app, name, id_), current=current.get(name) == id_)
                 for name, id_ in self._files(app)]
        newest_first = sorted(found, key=lambda one: one.set_at, reverse=True)
        return sorted(newest_first, key=lambda one: (one.name, not one.current))

    def _set_at(self, app: AppName, name: str, id_: str) -> str:
        with suppress(OSError):
            return self.now(self._file(app, name, id_).stat().st_mtime)
        return ""

    def drop(self, app: AppName, which: Callable[[str, str], bool]) -> None:
        """Remove the values that it names by name and id, and a link that leads nowhere then."""
        gone = {(name, id_) for name, id_ in self._files(app) if which(name, id_)}
        for name, id_ in self.current(app).items():
            if (name, id_) in gone:
                self._link(app, name).unlink(missing_ok=True)
        for name, id_ in gone:
            self._file(app, name, id_).unlink(missing_ok=True)

    def _files(self, app: AppName) -> Collection[tuple[str, str]]:
        return [named for path in self._paths(app) if not path.is_symlink() and (named := _named(path.name))]

    def _paths(self, app: AppName) -> Sequence[Path]:
        with suppress(OSError):
            return sorted(self.of(app).iterdir())
        return []

    def of(self, app: AppName) -> Path:
        return self.folder / owner_of(app)

    def _file(self, app: AppName, name: str, id_: str) -> Path:
        return self.of(app) / f"{name}@{id_}{SUFFIX}"

    def _link(self, app: AppName, name: str) -> Path:
        return self.of(app) / f"{name}{SUFFIX}"


def _named(file: str) -> tuple[str, str] | None:
    """Return name and id of a value's file; None if it is another one."""
    name, at, rest = file.partition("@")
    return (name, rest.removesuffix(SUFFIX)) if at and rest.endswith(SUFFIX) and not name.startswith(".") else None
