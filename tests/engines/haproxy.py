"""HAProxy of another Debian suite as one program that starts anywhere on this machine.

    program = unpack_haproxy("trixie", folder / "haproxy-trixie", apt=folder / "apt")
    HAPROXY=str(program.path)                    # in `haproxy.binary` of server.toml, or in DEPLOYCTL_TEST_HAPROXY

A reload lets HAProxy start itself again by its path, so a wrapper with the suite's loader would be lost there: the
copy names loader and libraries of its own folder instead. patchelf comes from the same suite and changes only that copy.

    bin/test --engines                                                        # all of SUITES, and the bundled one
    DEPLOYCTL_TEST_HAPROXY=PATH pytest tests/contract/test_traffic.py tests/integration/test_haproxy_*.py    # one
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.engines.unpack import unpack

SUITES = {"bookworm": "2.6", "trixie": "3.0", "sid": "3.2"}  # the version that is expected; sid moves on


@dataclass(frozen=True)
class Program:
    path: Path
    version: str  # of the package: "3.0.11-1+deb13u4"


def unpack_haproxy(suite: str, folder: Path, *, apt: Path) -> Program:
    """Unpack it below `folder` and return a program that runs from there; what is there already stays."""
    version = unpack(suite, ["haproxy", "patchelf"], folder, apt=apt)["haproxy"]
    path = folder / f"haproxy-{version.replace(':', '_')}"
    if not path.exists():
        _make_movable(folder, path)
    return Program(path, version)


def _make_movable(folder: Path, path: Path) -> None:
    loader, libraries = _loader(folder), ":".join(map(str, _libraries(folder)))
    part = path.with_suffix(".part")
    shutil.copy2(folder / "usr/sbin/haproxy", part)
    words = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", libraries, str(part)]
    subprocess.run([str(loader), "--library-path", libraries, str(folder / "usr/bin/patchelf"), *words], check=True)
    part.rename(path)


def _loader(folder: Path) -> Path:
    return next(path for where in ("lib64", "lib") for path in sorted((folder / where).glob("ld-linux*.so.*")))


def _libraries(folder: Path) -> list[Path]:
    """Return the folders with the libraries; programs find them by DT_RPATH, which counts for libraries of libraries."""
    libc = next((folder / "usr/lib").glob("*/libc.so.6"), None) or next((folder / "lib").glob("*/libc.so.6"))
    return [folder / where / libc.parent.name for where in ("lib", "usr/lib")]
