"""What Linux reports of its network in /proc: routes and listeners. Unreadable means empty."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from deployctl.paths import Path
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network

_LISTEN = "0A"


def routes() -> Iterator[tuple[int, str, IPv4Network]]:
    from ipaddress import IPv4Network

    for line in read(Path("/proc/net/route")).splitlines()[1:]:
        columns = line.split()
        destination, mask = _packed(columns[1]), int(columns[7], 16)
        yield int(columns[3], 16), columns[6], IPv4Network((destination, mask.bit_count()))


def find_listeners(pid: int, *, six: bool) -> set[tuple[str, int]] | None:
    """Return where that process's network namespace listens, including IPv6 if `six`; None if it may not be read. Each
    table is read once, and only if needed: the kernel takes milliseconds for one."""
    folder = Path("/proc", str(pid), "net")
    four = read(folder / "tcp")
    return {*_listening(four), *_listening(read(folder / "tcp6") if six else "")} if four else None


def listeners(folder: Path) -> Iterator[tuple[str, int]]:
    for name in ("tcp", "tcp6"):
        yield from _listening(read(folder / name))


def _listening(table: str) -> Iterator[tuple[str, int]]:
    for line in table.splitlines()[1:]:
        columns = line.split()
        if columns[3] == _LISTEN:
            address, _, port = columns[1].partition(":")
            yield _shown(address), int(port, 16)


def _shown(words: str) -> str:
    return socket.inet_ntop(socket.AF_INET if len(words) == 8 else socket.AF_INET6, _packed(words))


def _packed(words: str) -> bytes:
    """Return an address in network order; the kernel prints words of 32 bits in its own."""
    return b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
