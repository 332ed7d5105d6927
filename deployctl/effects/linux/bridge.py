"""Whether a network interface exists and is up, in our own network namespace."""

from __future__ import annotations

import fcntl
from contextlib import closing

from deployctl.stdlib import socket

_GET_FLAGS = 0x8913  # SIOCGIFFLAGS
_UP, _RUNNING = 0x1, 0x40


def is_up(interface: str) -> bool:
    """Return whether packets can leave by it: a bridge without attached containers is not running."""
    import struct

    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            answer = fcntl.ioctl(probe, _GET_FLAGS, struct.pack("256s", interface.encode("ascii")[:15]))
        except OSError:
            return False
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return bool(flags & _UP and flags & _RUNNING)
