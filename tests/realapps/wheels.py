"""Packages, as the ordinary pip client gives them for the running Python, as image layers.

Only wheels, only exactly the versions that are named, nothing resolved. A layer is fetched and compiled once, then
read from the cache folder.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from deployctl.demo.image_tar import Content, Layer, file_layer
from deployctl.demo.python_layer import library_closure, loadable

PACKAGES = "/app/packages"  # inside the image
PATIENCE = 120  # seconds for one call of pip

_LAYOUT = "1"  # part of the cache key: raise it when this file puts other things into a layer
_PIP = ("install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile",
        "--only-binary=:all:", "--target")
_COMPILE = ("-q", "--invalidation-mode", "unchecked-hash", "-p", PACKAGES)  # times in an image are zero
_GRANTED = ("libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1")
_LEFT_OUT = {"bin", "tests", "__pycache__"}

Pins = tuple[str, ...]


class Unobtainable(Exception):
    """pip could not give the packages; the text is what it said."""


def package_layers(wanted: Iterable[Pins], cache: Path) -> dict[Pins, Layer]:
    """Return a layer for each group of packages. Raises Unobtainable."""
    groups = list(dict.fromkeys(wanted))
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(groups, pool.map(lambda pins: package_layer(pins, cache), groups), strict=True))


def package_layer(pins: Pins, cache: Path) -> Layer:
    kept = cache / f"packages-{_identity(pins)}.tar"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            _install(pins, Path(folder))
            _write_whole(kept, file_layer(dict(_files(Path(folder)))).tar)
    return Layer(kept.read_bytes())


def host_layer() -> Layer:
    """Return what the demo's Python goes without: TLS, and the libraries that every wheel may take for granted."""
    found = (find_spec(name) for name in ("_ssl", "_hashlib"))
    modules = [Path(spec.origin) for spec in found if spec and spec.origin and spec.has_location]
    libraries = library_closure([*modules, Path(sys.executable).resolve()])
    folders = {path.parent for path in libraries if path.name == "libc.so.6"}
    libraries |= {folder / name for folder in folders for name in _GRANTED if (folder / name).exists()}
    return file_layer({str(path): (loadable(path.read_bytes()), 0o755) for path in (*modules, *sorted(libraries))})


def _identity(pins: Pins) -> str:
    facts = (_LAYOUT, pins, sys.implementation.cache_tag, sysconfig.get_platform())
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _install(pins: Pins, folder: Path) -> None:
    try:
        done = _python("pip", *_PIP, str(folder), *pins)
    except subprocess.TimeoutExpired:
        raise Unobtainable(f"the real applications cannot be had: pip took {PATIENCE} s and more for {pins[-1]}") from None
    if done.returncode:
        raise Unobtainable(f"the real applications cannot be had: {_errors(done.stderr)}")
    _python("compileall", *_COMPILE, "-s", str(folder), str(folder))  # what does not compile is a template


def _python(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          check=False)


def _errors(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if "ERROR" in line or "No module" in line]
    return " ".join(lines) or said[-500:].strip()


def _files(folder: Path) -> Iterator[tuple[str, Content]]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and (parts[0] not in _LEFT_OUT):
            yield f"{PACKAGES}/{'/'.join(parts)}", path.read_bytes()


def _write_whole(path: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(data)
    Path(part.name).replace(path)
