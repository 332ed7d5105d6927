"""What Linux reports of its network in /proc: routes and listeners. Unreadable means empty."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

_LISTEN = "0A"


def routes() -> Iterator[tuple[int, str, IPv4Network]]:
    for line in read(Path("/proc/net/route")).splitlines()[1:]:
        columns = line.split()
        destination, mask = _ipv4(columns[1]), _ipv4(columns[7])
        yield int(columns[3], 16), columns[6], IPv4Network((int(destination), int(mask).bit_count()))


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
            yield str(_ipv4(address) if len(address) == 8 else _ipv6(address)), int(port, 16)


def _ipv4(word: str) -> IPv4Address:
    return IPv4Address(int.from_bytes(bytes.fromhex(word), sys.byteorder))  # the kernel prints its own byte order


def _ipv6(words: str) -> IPv6Address:
    parts = (int(words[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, 32, 8))
    return IPv6Address(b"".join(parts))


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
