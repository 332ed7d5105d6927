"""The running Python as one image layer: interpreter, standard library and the C libraries that both load.

Everything has the same path as on this host, so that whatever the interpreter was built to find, it finds. What a
server never imports is left out: tests, IDLE, Tk, terminals, TLS, installers, sources and debug sections.
"""

from __future__ import annotations

import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from marshal import dumps
from pathlib import Path
from tempfile import NamedTemporaryFile

from deployctl.demo.image_tar import Content, Layer, TarLink, file_layer
from deployctl.errors import Invalid

PYTHON = "/usr/bin/python3"  # inside the image, whatever the interpreter's name on this host
ENTRYPOINT = (PYTHON, "-E", "-s", "-S")  # no site, no environment: started in 9 ms instead of 15

_LAYOUT = "1"  # part of the cache key: raise it when this file changes the layer's contents
_FOLDERS_LEFT_OUT = re.compile(
    r"__pycache__|test|tests|idlelib|idle_test|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|distutils|"
    r"site-packages|dist-packages|lib-dynload|config-.*|venv|curses|dbm"
)
_MODULES_LEFT_OUT = re.compile(
    r"(_tkinter|_curses|_curses_panel|readline|_dbm|_gdbm|nis|ossaudiodev|_ssl|_hashlib|_crypt|"
    r"_?xx.*|_test.*|_ctypes_test)\."
)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_UNCHECKED = (1).to_bytes(4, "little")  # pyc flag: never check the source, which is not there


def python_layer(cache: Path) -> Layer:
    """Return the layer for the running interpreter; built once, then read from the cache folder."""
    kept = cache / f"python-{_identity()}.tar"
    if not kept.exists():
        _write_whole(kept, file_layer(_files(), folders={"tmp": 0o1777}).tar)
    return Layer(kept.read_bytes())


def _identity() -> str:
    stdlib, exe = _stdlib(), _interpreter()
    facts = (_LAYOUT, sys.version, platform.machine(), exe, exe.stat().st_mtime_ns, stdlib, stdlib.stat().st_mtime_ns)
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _interpreter() -> Path:
    base: str = getattr(sys, "_base_executable", "") or sys.executable  # not the venv's
    return Path(base).resolve()


def _stdlib() -> Path:
    return Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})).resolve()


def _files() -> dict[str, Content]:
    interpreter, modules = _interpreter(), _extension_modules()
    binaries = [interpreter, *modules]
    files: dict[str, Content] = {str(path): (loadable(path.read_bytes()), 0o755) for path in binaries}
    files |= {str(path): (loadable(path.read_bytes()), 0o755) for path in library_closure(binaries)}
    files |= _compiled(_stdlib())
    if str(interpreter) != PYTHON:
        files[PYTHON] = TarLink(str(interpreter))
    return files


def _extension_modules() -> list[Path]:
    folder = _stdlib() / "lib-dynload"
    return sorted(path for path in folder.glob("*.so") if not _MODULES_LEFT_OUT.match(path.name))


def library_closure(binaries: Sequence[Path]) -> set[Path]:
    """Return all that the loader would load for these, including themselves, by the paths it uses."""
    listing = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    found = {Path(match[1]) for match in _LIBRARY.finditer(listing.stdout)}
    if not found:
        message = f"`ldd` lists no libraries of {binaries[0]}, so no image can be built from it"
        raise Invalid(message, remedy=["ldd --version"])
    return found | _asked_for_later(found)


def _asked_for_later(libraries: Iterable[Path]) -> set[Path]:
    # glibc opens this one by itself when a thread ends; no listing shows it
    wanted = {library.parent / "libgcc_s.so.1" for library in libraries if library.name == "libc.so.6"}
    return {library for library in wanted if library.exists()}


def _compiled(stdlib: Path) -> dict[str, Content]:
    return {str(source.with_suffix(".pyc")): _bytecode(source) for source in _sources(stdlib)}


def _sources(stdlib: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(stdlib):
        folders[:] = sorted(name for name in folders if not _FOLDERS_LEFT_OUT.fullmatch(name))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _bytecode(source: Path) -> bytes:
    text = source.read_bytes()
    return MAGIC_NUMBER + _UNCHECKED + source_hash(text) + (_kept_code(source) or _compile(source, text))


def _kept_code(source: Path) -> bytes | None:
    """Return what the host has compiled already, if it is of exactly this source: it saves seconds."""
    kept, facts = Path(cache_from_source(str(source), optimization="")), source.stat()
    fresh = struct.pack("<4sIII", MAGIC_NUMBER, 0, int(facts.st_mtime) & 0xFFFFFFFF, facts.st_size & 0xFFFFFFFF)
    pyc = kept.read_bytes() if kept.exists() else b""
    return pyc[16:] if pyc.startswith(fresh) else None


def _compile(source: Path, text: bytes) -> bytes:
    return dumps(compile(text, str(source), "exec", dont_inherit=True, optimize=0))


def loadable(elf: bytes) -> bytes:
    """Return a 64-bit little-endian program without what no loader reads: symbols and debug sections at its end."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return elf
    offset, size, count = struct.unpack_from("<Q14xHH", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    segments = (struct.unpack_from("<8xQ16xQ", elf, offset + i * size) for i in range(count))
    kept = bytearray(elf[: max(start + length for start, length in segments)])
    struct.pack_into("<Q", kept, 40, 0)  # no section table …
    struct.pack_into("<HH", kept, 60, 0, 0)  # … of no entries, and no names for them
    return bytes(kept)


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(data)
    Path(part.name).replace(path)
