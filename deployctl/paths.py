"""Paths that cost little to import and to make. `pathlib` brings urllib.parse, ipaddress and fnmatch, and parses each path
into a list: together a twentieth of a short command's CPU.

Type checkers take this class for `pathlib.Path`. What a command seldom needs of that class is taken from there, by name.
POSIX only, as all of deployctl.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as Path
    from typing import Any, Self


_UNQUOTED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/")  # in a URI


class _Path:
    """One path: a text without empty parts, `.` parts or a slash at its end."""

    __slots__ = ("_text",)

    def __init__(self, *parts: str | os.PathLike[str]) -> None:
        path = os.path.join(*parts) if parts else ""  # noqa: PTH118  this is what stands below the operator
        self._text = path if path and "//" not in path and "." not in path and path[-1] != "/" else _normal(os.fspath(path))

    @classmethod
    def cwd(cls) -> Self:
        return cls(os.getcwd())  # noqa: PTH109

    # -- as a text ------------------------------------------------------------------------------------------------
    def __fspath__(self) -> str:
        return self._text

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"PosixPath({self._text!r})"

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == str(other) if isinstance(other, os.PathLike) else NotImplemented

    def __lt__(self, other: os.PathLike[str]) -> bool:
        return _parts(self._text) < _parts(os.fspath(other))

    def __gt__(self, other: os.PathLike[str]) -> bool:
        return _parts(self._text) > _parts(os.fspath(other))

    # -- its parts ------------------------------------------------------------------------------------------------
    def __truediv__(self, other: str | os.PathLike[str]) -> Self:
        return type(self)(self._text, other)

    def __rtruediv__(self, other: str | os.PathLike[str]) -> Self:
        return type(self)(other, self._text)

    @property
    def name(self) -> str:
        name = self._text.rpartition("/")[2]
        return "" if name == "." else name

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(_parts(self._text))

    @property
    def parent(self) -> Self:
        above, slash, _ = self._text.rpartition("/")
        return type(self)(above or slash or ".")

    @property
    def parents(self) -> tuple[Self, ...]:
        found, one = [], self
        while (above := one.parent) != one:
            found.append(above)
            one = above
        return tuple(found)

    def with_name(self, name: str) -> Self:
        return self.parent / name

    def is_absolute(self) -> bool:
        return self._text.startswith("/")

    def is_relative_to(self, other: str | os.PathLike[str]) -> bool:
        above = str(type(self)(other))
        inside = self._text.startswith(f"{above.rstrip('/')}/")
        return inside or self._text == above or (above == "." and not self.is_absolute())

    def absolute(self) -> Self:
        return self if self.is_absolute() else type(self)(os.getcwd(), self._text)  # noqa: PTH109

    def resolve(self, strict: bool = False) -> Self:
        return type(self)(os.path.realpath(self._text, strict=strict))

    def as_uri(self) -> str:
        if not self.is_absolute():
            raise ValueError("relative path can't be expressed as a file URI")
        return "file://" + "".join(chr(byte) if byte in _UNQUOTED else f"%{byte:02X}" for byte in os.fsencode(self._text))

    # -- what is there ----------------------------------------------------------------------------------------------
    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(self._text, follow_symlinks=follow_symlinks)  # noqa: PTH116

    def lstat(self) -> os.stat_result:
        return os.lstat(self._text)

    def exists(self) -> bool:
        return os.path.exists(self._text)  # noqa: PTH110

    def is_file(self) -> bool:
        return os.path.isfile(self._text)  # noqa: PTH113

    def is_dir(self) -> bool:
        return os.path.isdir(self._text)  # noqa: PTH112

    def is_symlink(self) -> bool:
        return os.path.islink(self._text)  # noqa: PTH114

    def samefile(self, other: str | os.PathLike[str]) -> bool:
        return os.path.samefile(self._text, other)  # noqa: PTH121

    def readlink(self) -> Self:
        return type(self)(os.readlink(self._text))  # noqa: PTH115

    def iterdir(self) -> Iterator[Self]:
        return (self / name for name in os.listdir(self._text))  # noqa: PTH208

    # -- files and folders --------------------------------------------------------------------------------------------
    def open(self, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
             newline: str | None = None) -> Any:
        return open(self._text, mode, buffering, encoding, errors, newline)  # noqa: PTH123

    def read_bytes(self) -> bytes:
        with open(self._text, "rb") as file:  # noqa: PTH123
            return file.read()

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with open(self._text, encoding=encoding, errors=errors) as file:  # noqa: PTH123
            return file.read()

    def write_text(self, data: str, encoding: str | None = None, errors: str | None = None) -> int:
        with open(self._text, "w", encoding=encoding, errors=errors) as file:  # noqa: PTH123
            return file.write(data)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        try:
            (os.makedirs if parents else os.mkdir)(self._text, mode)
        except FileExistsError:
            if not exist_ok or not self.is_dir():
                raise

    def chmod(self, mode: int) -> None:
        os.chmod(self._text, mode)  # noqa: PTH101

    def replace(self, target: str | os.PathLike[str]) -> Self:
        os.replace(self._text, target)  # noqa: PTH105
        return type(self)(target)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            os.unlink(self._text)  # noqa: PTH108
        except FileNotFoundError:
            if not missing_ok:
                raise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while one is unpickled, or asked what it can do
            raise AttributeError(name)
        from pathlib import Path as WholePath

        return getattr(WholePath(self._text), name)


def _parts(path: str) -> list[str]:
    return ["/"] * path.startswith("/") + [part for part in path.split("/") if part not in {"", "."}]


def _normal(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    root = "" if not path.startswith("/") else "//" if path.startswith("//") and not path.startswith("///") else "/"
    return root + "/".join(parts) or "."


if not TYPE_CHECKING:
    Path = _Path
