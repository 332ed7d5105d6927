"""Where the dashboard is: what it listens on, and under which name people reach it. Nothing else is trusted."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from deployctl.dataclass import dataclass
from deployctl.domain.host.server import WebSpec
from deployctl.errors import NotPermitted

KEY_BYTES = 32
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """`listen` is host and port; `url` is what people type when something in front terminates TLS or has another name.
    The cookies contain `home_id`: they know no port, and two homes may have their dashboards under one name."""

    listen: tuple[str, int]
    url: str | None = None
    key: bytes = b""
    home_id: str = ""

    @property
    def secure(self) -> bool:
        return self.url is not None and self.url.startswith("https://")

    @property
    def base(self) -> str:
        """Return the address of the first page, without the trailing slash."""
        return WebSpec(self.listen, self.url).base

    @property
    def hosts(self) -> frozenset[str]:
        """Return every valid Host header: a page under another name is an attack (DNS rebinding)."""
        host, port = self.listen
        names = {*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host}
        netloc = urlsplit(self.base).netloc
        return frozenset({netloc, *(f"{name}:{port}" for name in names), *(names if port in {80, 443} else ())})

    @property
    def origins(self) -> frozenset[str]:
        """Return every Origin whose forms are ours. With TLS in front, a page without it under that name is not."""
        return frozenset({self.base, *(f"http://{host}" for host in self.hosts - {urlsplit(self.base).netloc})})


def signing_key(state: Path) -> bytes:
    """Return the key that signs cookies, created once. Raises NotPermitted if others may read it, or it is too
    short."""
    path = state / "web.key"
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.write(handle, secrets.token_bytes(KEY_BYTES))
        os.close(handle)
    found, key = path.stat(), path.read_bytes()
    if found.st_mode & 0o077 or found.st_uid != os.geteuid() or len(key) < KEY_BYTES:
        raise NotPermitted(f"{path} signs the cookies of the dashboard and cannot be trusted: it must be {KEY_BYTES} bytes, "
                           "yours, and readable by you alone.",
                           remedy=[f"rm {path}   # a new one is made, everybody signs in again"])
    return key
