"""What refuses connections to an address while no container has it.

Without it a client's first packet gets no answer, and its system repeats it only after a second, however short the gap
is. A network namespace with the same address and the same MAC and no listener answers at once that nobody listens. It is
connected to the bridge while the former container's interface may still be there, and taken off when its successor's is:
both overlaps are needed, otherwise a packet is lost before or after it.

The namespace is kept by an open file of this process alone: when the process ends, whatever ends it, the kernel removes
the namespace, and its interface from the bridge with it.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread

from deployctl.effects.linux.rtnetlink import (
    CREATE,
    EXCLUSIVE,
    LINK,
    REPLACE,
    attribute,
    change,
    index_of,
    ipv4,
    open_kernel,
    packed,
)
from deployctl.errors import DeployctlError, NotPermitted
from deployctl.paths import Path
from deployctl.stdlib import socket

_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _NEW_NEIGHBOUR = 16, 17, 20, 28  # types of messages
_NEIGHBOUR, _BRIDGE, _REACHABLE, _OF_MASTER, _ENTRY_MAC = struct.Struct("=BxxxiHBB"), 7, 0x02, 0x04, 2  # ndmsg and its fields
_MAC, _NAME, _MASTER, _INFO, _NAMESPACE_FD = 1, 3, 10, 18, 28  # attributes of a link
_KIND, _DATA, _PEER = 1, 2, 1  # of its kind
_ADDRESS, _LOCAL = 1, 2  # attributes of an address
_IFADDR = struct.Struct("=BBBBi")  # ifaddrmsg
_UP = 0x1  # IFF_UP
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_GET_INDEX = 0x8933  # SIOCGIFINDEX
_INSIDE = "eth0"
_OWN_MAC = "fe:dc:00:00:00:01"  # of the bridge's side: higher than any other, for a bridge that takes the lowest
PAUSE_MS = 2.0  # milliseconds between two looks at a process that cannot be waited for


class LinuxStandIn:
    """`ended`: when the process ended whose address it is; `refused`: it answered for it."""

    def __init__(self, name: str, mac: str) -> None:
        self._name, self._mac = name, mac
        self._done = os.eventfd(0, os.EFD_CLOEXEC)
        self.ended: float | None = None
        self.refused = False

    @classmethod
    @contextmanager
    def prepared(cls, bridge: str, address: str, mac: str, *, after: int) -> Iterator[LinuxStandIn]:
        """Make it with its bridge side down, and let it answer once process `after` has ended. `address` is
        172.29.0.7/24."""
        one = cls(f"dcs{os.urandom(5).hex()}", mac)
        with ExitStack() as stack:
            stack.callback(os.close, one._done)
            with suppress(DeployctlError):  # clients then meet silence instead of a refusal
                stack.enter_context(one._made(bridge, address, mac))
            watcher = Thread(target=one._watch, args=(after,), name="stand-in", daemon=True)
            watcher.start()
            stack.callback(watcher.join)
            stack.callback(os.eventfd_write, one._done, 1)
            yield one

    @contextmanager
    def _made(self, bridge: str, address: str, mac: str) -> Iterator[None]:
        with _namespace() as namespace:
            peer = LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, _INSIDE) + attribute(_MAC, packed(mac)) \
                + attribute(_NAMESPACE_FD, struct.pack("=I", namespace.file))
            info = _text(_KIND, "veth") + attribute(_DATA, attribute(_PEER, peer))
            body = LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, self._name) + attribute(_MAC, packed(_OWN_MAC)) \
                + attribute(_MASTER, struct.pack("=i", index_of(bridge))) + attribute(_INFO, info)
            change(_NEW_LINK, CREATE | EXCLUSIVE, body, f"stand in for {address}")
            try:
                namespace.give(address)
                yield
            finally:
                with suppress(DeployctlError):
                    change(_DELETE_LINK, 0, LINK.pack(0, 0, index_of(self._name), 0, 0), "take the stand-in away")

    def _watch(self, pid: int) -> None:
        if not has_ended(pid, unless=self._done):
            return
        self.ended = time.monotonic()
        with suppress(DeployctlError):
            port = index_of(self._name)
            change(_NEW_LINK, 0, LINK.pack(0, 0, port, _UP, _UP), "let the stand-in answer")
            self.refused = True
            entry = _NEIGHBOUR.pack(_BRIDGE, port, _REACHABLE, _OF_MASTER, 0) + attribute(_ENTRY_MAC, packed(self._mac))
            change(_NEW_NEIGHBOUR, REPLACE | CREATE, entry, "send to the stand-in")  # a pin would hold the former port


# -- a namespace that an open file keeps -----------------------------------------------------------------------------
class _Namespace:
    def __init__(self, file: int, kernel: socket.socket) -> None:
        self.file, self._kernel = file, kernel

    def give(self, address: str) -> None:
        """Give its one interface the address, and switch it on."""
        host, _, prefix = address.partition("/")
        index = _index_inside(self._kernel)
        body = _IFADDR.pack(socket.AF_INET, int(prefix), 0, 0, index) + attribute(_LOCAL, ipv4(host)) \
            + attribute(_ADDRESS, ipv4(host))
        change(_NEW_ADDRESS, CREATE | EXCLUSIVE, body, f"stand in for {address}", kernel=self._kernel)
        change(_NEW_LINK, 0, LINK.pack(0, 0, index, _UP, _UP), f"stand in for {address}", kernel=self._kernel)


@contextmanager
def _namespace() -> Iterator[_Namespace]:
    """Yield a network namespace of its own. Only a thread that ends right away enters it."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        file, kernel = thread.submit(_unshared).result()
    try:
        yield _Namespace(file, kernel)
    finally:
        kernel.close()
        os.close(file)


def _unshared() -> tuple[int, socket.socket]:
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
        raise NotPermitted(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    return os.open(Path("/proc/thread-self/ns/net"), os.O_RDONLY | os.O_CLOEXEC), open_kernel()


def _index_inside(kernel: socket.socket) -> int:
    """Return the index of its interface, read by a socket of that namespace."""
    import fcntl

    request = struct.pack("16sI20x", _INSIDE.encode(), 0)
    return int(struct.unpack_from("16sI", fcntl.ioctl(kernel, _GET_INDEX, request))[1])


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


# -- the end of a process ----------------------------------------------------------------------------------------------
def has_ended(pid: int, *, unless: int) -> bool:
    """Wait until that process has ended (True; 0: it has), or the file `unless` can be read (False)."""
    poll = select.poll()
    poll.register(unless, select.POLLIN)
    try:
        handle = os.pidfd_open(pid) if pid else None
    except ProcessLookupError:
        handle = None
    except OSError:  # Linux before 5.3
        while Path(f"/proc/{pid}").exists():
            if poll.poll(PAUSE_MS):
                return False
        handle = None
    if handle is None:
        return True
    try:
        poll.register(handle, select.POLLIN)
        return handle in {file for file, _ in poll.poll()}
    finally:
        os.close(handle)
