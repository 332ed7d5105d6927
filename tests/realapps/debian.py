"""Database servers as Debian packages them, as images: the ordinary apt client fetches the packages, dpkg unpacks them.

Nothing is installed on this host. The packages are kept in the cache folder; a program's libraries come from the packages
that are named here, all of the same release of Debian as the host's apt knows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from deployctl.demo.image_tar import Content, Layer, TarLink, file_layer
from tests.realapps.wheels import Unobtainable

PATIENCE = 180  # seconds for one call of apt
_LAYOUT = "2"  # part of the cache key: raise it when this file puts other things into a layer
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "usr/share/lintian",
             "usr/lib/llvm", "usr/lib/postgresql/15/lib/bitcode")
_BASE = ("base-passwd", "dash", "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libzstd1", "liblz4-1", "liblzma5", "libssl3",
         "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0")


@dataclass(frozen=True)
class Packaged:
    """One server: its packages beside those that every server needs."""

    name: str
    packages: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)


USERS = b"root:x:0:0:root:/:/bin/sh\nserver:x:1000:1000:server:/:/bin/sh\n"
SYSTEM: Mapping[str, Content] = {
    "/etc/passwd": USERS, "/etc/group": b"root:x:0:\nserver:x:1000:\n",
    "/bin": TarLink("usr/bin"), "/sbin": TarLink("usr/sbin"), "/lib": TarLink("usr/lib"), "/lib64": TarLink("usr/lib64")}

REDIS = Packaged("redis", ("redis-server", "redis-tools", "libatomic1", "libhiredis0.14", "libjemalloc2", "liblua5.1-0",
                           "liblzf1", "lua-bitop", "lua-cjson"), SYSTEM)
POSTGRES = Packaged("postgres", (
    "postgresql-15", "postgresql-client-15", "libpq5", "tzdata", "libicu72", "libldap-2.5-0", "libsasl2-2", "libgssapi-krb5-2",
    "libkrb5-3", "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1", "libxml2", "libxslt1.1", "libpam0g",
    "libaudit1", "libcap-ng0", "libuuid1", "libselinux1", "libpcre2-8-0", "libreadline8", "libtinfo6", "libgnutls30",
    "libp11-kit0", "libidn2-0", "libunistring2", "libtasn1-6", "libhogweed6", "libnettle8", "libgmp10", "libffi8", "libbsd0",
    "libmd0", "coreutils", "libacl1", "libattr1"), SYSTEM)


def debian_layer(wanted: Packaged, cache: Path) -> Layer:
    """Return the server and all that it needs to run. Raises Unobtainable."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unobtainable("this system has no apt and dpkg")
    names = (*_BASE, *wanted.packages)
    kept = cache / f"debian-{wanted.name}-{sha256(repr((_LAYOUT, names)).encode()).hexdigest()[:16]}.tar"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            _unpack(names, Path(folder))
            _write_whole(kept, file_layer({**dict(_files(Path(folder, "root"))), **wanted.files},
                                          folders={"/tmp": 0o1777, "/run": 0o1777, "/data": 0o1777}).tar)
    return Layer(kept.read_bytes())


def _unpack(names: tuple[str, ...], folder: Path) -> None:
    try:
        done = subprocess.run(["apt-get", "download", *names], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unobtainable(f"apt-get took {PATIENCE} s and more") from None
    if done.returncode:
        raise Unobtainable(f"apt-get: {' '.join(done.stderr.split())[-500:]}")
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True, timeout=PATIENCE)


def _files(root: Path) -> Iterator[tuple[str, Content]]:
    for folder, folders, names in os.walk(root):
        for name in sorted([*names, *(one for one in folders if Path(folder, one).is_symlink())]):
            path = Path(folder, name)
            place = str(path.relative_to(root))
            if not place.startswith(_LEFT_OUT):
                yield _merged(place), _content(path)


def _merged(place: str) -> str:
    """Return where it is in a Debian whose /bin and /lib are parts of /usr."""
    first, _, rest = place.partition("/")
    return f"/usr/{first}/{rest}" if first in {"bin", "sbin", "lib", "lib64"} and rest else f"/{place}"


def _content(path: Path) -> Content:
    return TarLink(str(path.readlink())) if path.is_symlink() else (path.read_bytes(), path.stat().st_mode & 0o777)


def _write_whole(path: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(data)
    Path(part.name).replace(path)
