"""The kernel's rtnetlink: messages to it, and what it responds (man 7 rtnetlink). Some ten microseconds each, where a
process would take milliseconds."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

from deployctl.errors import DeployctlError, NotPermitted
from deployctl.stdlib import socket

ACK, REPLACE, CREATE, EXCLUSIVE, DUMP = 0x4, 0x100, 0x400, 0x200, 0x300  # flags of messages
_ERROR, _DONE, _REQUEST = 2, 3, 0x1
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")  # nlmsghdr, rtattr
LINK = struct.Struct("=BxHiII")  # ifinfomsg
_PATIENCE = 2.0  # seconds; the kernel responds immediately

NetlinkMessage = tuple[int, bytes]  # type and body


def change(kind: int, flags: int, body: bytes, doing: str, *, fine: int = 0, kernel: socket.socket | None = None) -> None:
    with refusals(doing, fine=fine):
        for _ in ask(kind, flags | ACK, body, kernel):
            pass


@contextmanager
def refusals(doing: str, *, fine: int = 0) -> Iterator[None]:
    """Translate kernel errors other than `fine`."""
    try:
        yield
    except OSError as e:
        if e.errno in {errno.EPERM, errno.EACCES}:
            raise NotPermitted(f"cannot {doing}: this requires root") from e
        if e.errno != fine:
            raise DeployctlError(f"cannot {doing}: {e.strerror or e}") from e


def open_kernel() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    kernel.settimeout(_PATIENCE)
    return kernel


def ask(kind: int, flags: int, body: bytes, line: socket.socket | None = None) -> Iterator[NetlinkMessage]:
    """Yield the kernel's responses, in our own network or through that socket. Raises OSError with its reason."""
    with nullcontext(line) if line else closing(open_kernel()) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
        while True:
            for got, answer in _messages(kernel.recv(1 << 17)):
                if got == _ERROR and (code := struct.unpack_from("=i", answer)[0]):
                    raise OSError(-code, os.strerror(-code))
                if got in {_ERROR, _DONE}:
                    return
                yield got, answer
            if not flags & (DUMP | ACK):
                return


def _messages(data: bytes) -> Iterator[NetlinkMessage]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size:length]
        data = data[_aligned(length):]


def attribute(kind: int, value: bytes) -> bytes:
    text = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return text.ljust(_aligned(len(text)), b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        found[kind] = data[_ATTRIBUTE.size:length]
        data = data[max(_aligned(length), _ATTRIBUTE.size):]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def ipv4(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, address)


def packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def index_of(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as e:
        raise DeployctlError(f"no interface {interface} on this host") from e
