"""Which program listens on a port, as far as /proc shows."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from deployctl.paths import Path

_LISTEN = "0A"


def find_port_holder(port: int, proc: Path = Path("/proc"), *, but: Collection[int] = ()) -> str | None:
    """Return e.g. "nginx (pid 812)"; None if nothing else listens there or it may not be read."""
    sockets = {f"socket:[{inode}]" for name in ("tcp", "tcp6") for inode in _listeners(proc / "net" / name, port)}
    for process in proc.glob("[0-9]*") if sockets else ():
        if int(process.name) not in but and sockets & _open_files(process):
            return f"{_read(process / 'comm').strip()} (pid {process.name})"
    return None


def find_web_server(*, but: Collection[int]) -> str | None:
    """Return the program, other than those pids, that listens on a usual web server port here."""
    holders = (find_port_holder(port, but=but) for port in (443, 80))
    return next((holder for holder in holders if holder), None)


def _listeners(table: Path, port: int) -> Iterator[str]:
    for line in _read(table).splitlines()[1:]:
        columns = line.split()
        if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]


def _open_files(process: Path) -> set[str]:
    try:
        return {_link(file) for file in (process / "fd").iterdir()}
    except OSError:  # it ended, or it is not ours
        return set()


def _link(file: Path) -> str:
    try:
        return os.readlink(file)  # noqa: PTH115 - "socket:[1]" is no path
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
