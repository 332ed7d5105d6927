"""Our paths do what those of pathlib do, and the compiled halves are what the standard modules have."""

from __future__ import annotations

import copy
import datetime
import itertools
import os
import pathlib
import pickle
import signal
import socket
import sqlite3
from typing import Any

import pytest

from deployctl import stdlib
from deployctl.paths import Path

OURS: Any = Path  # type checkers take it for pathlib's
TEXTS = ["", "a", "a/b", "/", "/a", "/a/b.txt", "a//b", "./a", "a/.", "a/./b", "../a", "/..", "///b", "/a/", "a.b.c",
         "/a/b/../c", ".", "..", "/.hid", "a/b/c/", "ü ß", "/x%y/z~"]


def said(kind: Any, text: str) -> list[object]:
    path = kind(text)
    return [str(path), repr(path), path.name, path.stem, path.suffix, str(path.parent), [*map(str, path.parents)], path.parts,
            path.is_absolute(), str(path.absolute()), str(path.resolve()), os.fspath(path), f"{path}",
            path.as_uri() if path.is_absolute() else ""]


@pytest.mark.parametrize("text", TEXTS)
def test_a_path_is_named_as_by_pathlib(text: str) -> None:
    assert said(OURS, text) == said(pathlib.Path, text)
    assert OURS(text) == pathlib.Path(text)
    assert pathlib.Path(text) == OURS(text)


def test_two_paths_are_joined_and_compared_as_by_pathlib() -> None:
    def outcomes(kind: Any, one: str, other: str) -> list[object]:
        # from Python 3.12 on pathlib orders the empty path otherwise than before, and an absolute one beside a relative one
        ordered = one and other and (one[0] == "/") == (other[0] == "/")
        return [str(kind(one) / other), str(kind(one, other)), str(one / kind(other)), kind(one) == kind(other),
                not ordered or kind(one) < kind(other), not ordered or kind(one) > kind(other), kind(one).is_relative_to(other)]

    for one, other in itertools.product(TEXTS, TEXTS):
        assert outcomes(OURS, one, other) == outcomes(pathlib.Path, one, other), (one, other)


def used(kind: Any, folder: pathlib.Path) -> list[object]:
    """Return what comes of everything that one does with files."""
    top = kind(folder, "top")
    top.mkdir(parents=True)
    top.mkdir(exist_ok=True)
    deep = top / "b" / "c"
    deep.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = top / "file"
    found: list[object] = [file.exists(), file.write_text("größe\n", encoding="utf-8"), file.read_text(encoding="utf-8"),
                           file.read_bytes(), file.is_file(), file.is_dir(), deep.is_dir(), file.is_symlink()]
    file.chmod(0o600)
    link = top / "link"
    link.symlink_to(file)
    found += [oct(file.stat().st_mode), link.is_symlink(), link.readlink().name, link.resolve().name, link.samefile(file),
              link.lstat().st_ino == file.stat().st_ino, sorted(one.name for one in top.iterdir()),
              sorted(one.name for one in top.glob("l*")), file.replace(top / "moved").name, file.exists()]
    with (top / "moved").open("rb") as stream:
        found.append(stream.read())
    (top / "moved").unlink()
    (top / "moved").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (top / "moved").unlink()
    with pytest.raises(FileExistsError):
        deep.mkdir()
    with pytest.raises(FileExistsError):
        kind(os.devnull).mkdir(exist_ok=True)
    return found


def test_files_are_used_as_by_pathlib(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    assert used(OURS, tmp_path / "ours") == used(pathlib.Path, tmp_path / "theirs")


def test_a_path_is_copied_pickled_and_a_key() -> None:
    path = OURS("/a/b")
    assert copy.deepcopy(path) == path == pickle.loads(pickle.dumps(path))  # noqa: S301  made here
    assert {path: 1}[OURS("/a//b")] == 1
    assert OURS.cwd() == pathlib.Path.cwd()
    with pytest.raises(AttributeError):
        _ = path.no_such_thing


def test_what_a_compiled_half_has_is_what_its_module_has() -> None:
    assert stdlib.sqlite3.connect is sqlite3.connect
    assert stdlib.sqlite3.Row is sqlite3.Row
    assert stdlib.sqlite3.IntegrityError is sqlite3.IntegrityError
    assert issubclass(socket.socket, stdlib.socket.socket)
    assert stdlib.signal.SIGTERM == signal.SIGTERM
    assert stdlib.signal.default_int_handler is signal.default_int_handler
    assert (stdlib.UTC, stdlib.timedelta) == (datetime.UTC, datetime.timedelta)
    assert stdlib.datetime.now(stdlib.UTC).tzinfo is datetime.UTC
