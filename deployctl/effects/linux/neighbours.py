"""Which MAC this host sends to for an address, and by which port of a bridge: the kernel's neighbour and forwarding
tables.

Both follow whatever spoke last, except for permanent entries, which hold whatever another container on the bridge
claims.
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import closing

from deployctl.effects.linux.rtnetlink import (
    CREATE,
    DUMP,
    LINK,
    REPLACE,
    ask,
    attribute,
    attributes,
    change,
    index_of,
    ipv4,
    open_kernel,
    packed,
    refusals,
)
from deployctl.errors import DeployctlError, NotPermitted
from deployctl.paths import Path
from deployctl.ports import Neighbour
from deployctl.stdlib import socket

# types of messages
_NEW_LINK, _GET_LINK, _NEW_NEIGHBOUR, _DELETE_NEIGHBOUR, _GET_NEIGHBOUR, _GET_NAMESPACE_ID = 16, 18, 28, 29, 30, 90
_BRIDGE = 7  # AF_BRIDGE
_REACHABLE, _NOARP, _PERMANENT = 0x02, 0x40, 0x80  # states of a neighbour; NOARP is "static" for a bridge
_OF_MASTER, _STICKY = 0x04, 0x40  # flags of a neighbour; STICKY since Linux 4.20: traffic from another port does not move it
_DESTINATION, _MAC = 1, 2  # attributes of a neighbour
_LINK_MAC, _LINK_MASTER, _LINK_NAMESPACE_ID = 1, 10, 37  # attributes of a link
_NAMESPACE_ID, _NAMESPACE_PID = 1, 2  # attributes of a namespace
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_SET = "3"  # NET_ADDR_SET: the MAC was set, and is not that of a port
_ARP_PERMANENT = 0x04  # ATF_PERM
NET_ADMIN = 12  # its bit among the capabilities
_NEIGHBOUR, _NAMESPACE = struct.Struct("=BxxxiHBB"), struct.Struct("=Bxxx")  # ndmsg, rtgenmsg


def may_fix() -> bool:
    """Return whether this process may write the tables."""
    return may(NET_ADMIN)


def may(capability: int) -> bool:
    """Return whether this process has that capability."""
    from deployctl.effects.linux.proc_net import read

    line = next((line for line in read(Path("/proc/self/status")).splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(line.split()[1], 16) >> capability & 1)


def neighbours() -> dict[tuple[str, str], Neighbour]:
    """Return this host's present entries, by interface and address; unresolved ones are left out."""
    from deployctl.effects.linux.proc_net import read

    columns = [line.split() for line in read(Path("/proc/net/arp")).splitlines()[1:]]
    return {(bridge, address): Neighbour(mac, bool(int(flags, 16) & _ARP_PERMANENT))
            for address, _, flags, mac, _, bridge in columns if int(flags, 16)}


def fix(bridge: str, address: str, mac: str) -> None:
    """Send what is for that address to that MAC, whatever else claims it. Idempotent."""
    body = _NEIGHBOUR.pack(socket.AF_INET, index_of(bridge), _PERMANENT, 0, 0)
    change(_NEW_NEIGHBOUR, REPLACE | CREATE, body + attribute(_DESTINATION, ipv4(address))
            + attribute(_MAC, packed(mac)), f"pin {address} to {mac}")


def loosen(bridge: str, address: str) -> None:
    """Remove the permanent entry. Absent is fine, as is a removed bridge."""
    if (bridge, address) in neighbours():
        body = _NEIGHBOUR.pack(socket.AF_INET, index_of(bridge), 0, 0, 0)
        change(_DELETE_NEIGHBOUR, 0, body + attribute(_DESTINATION, ipv4(address)), f"unpin {address}",
                fine=errno.ENOENT)


def fix_port(bridge: str, mac: str, pid: int) -> None:
    """Send what is for that MAC to the bridge port of that process, whatever else sends with it. Idempotent."""
    with refusals(f"find the port of process {pid}"):  # it may have ended in the meantime
        port = find_port(bridge, pid)
    if port is None:
        raise DeployctlError(f"process {pid} has no port of {bridge}")
    body = _NEIGHBOUR.pack(_BRIDGE, port, _NOARP | _REACHABLE, _OF_MASTER | _STICKY, 0)
    change(_NEW_NEIGHBOUR, REPLACE | CREATE, body + attribute(_MAC, packed(mac)), f"hold {mac} at its port of {bridge}")


def fix_host(bridge: str, gateway: str, mac: str, pid: int) -> None:
    """Make the network of that process, in which it has that MAC, send what is for this host to the bridge's MAC,
    whatever else claims the gateway. Idempotent. Does nothing if the bridge takes its MAC from its ports: it would
    change with the next container."""
    from deployctl.effects.linux.proc_net import read

    if read(Path("/sys/class/net", bridge, "addr_assign_type")).strip() != _SET:
        return
    with closing(_inside(pid)) as kernel, refusals(f"read the interfaces of process {pid}"):
        links = ((body, attributes(body[LINK.size:])) for kind, body in
                 ask(_GET_LINK, DUMP, LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0), kernel) if kind == _NEW_LINK)
        mine = next((LINK.unpack_from(body)[2] for body, found in links if found.get(_LINK_MAC) == packed(mac)), None)
        if mine is None:
            raise DeployctlError(f"process {pid} has no interface with the MAC {mac}")
        body = _NEIGHBOUR.pack(socket.AF_INET, mine, _PERMANENT, 0, 0) + attribute(_DESTINATION, ipv4(gateway))
        host = read(Path("/sys/class/net", bridge, "address")).strip()
        change(_NEW_NEIGHBOUR, REPLACE | CREATE, body + attribute(_MAC, packed(host)),
                f"pin {gateway} to {host} for process {pid}", kernel=kernel)


def _inside(pid: int) -> socket.socket:
    """Return a netlink socket in that process's network. Only a thread that ends right away enters it."""
    from concurrent.futures import ThreadPoolExecutor  # like ctypes below: slow to load, and not needed by a rollback

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_enter, pid).result()


def _enter(pid: int) -> socket.socket:
    import ctypes

    try:
        with Path(f"/proc/{pid}/ns/net").open("rb") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return open_kernel()
    except OSError as e:
        raise NotPermitted(f"cannot enter the network namespace of process {pid}: {e.strerror}") from e


def fixed_ports(bridge: str) -> set[str]:
    """Return the MACs that the bridge forwards to a port that nothing else can take over by sending."""
    request = LINK.pack(_BRIDGE, 0, 0, 0, 0) + attribute(_LINK_MASTER, struct.pack("=i", index_of(bridge)))
    found = set()
    with refusals(f"read the ports of {bridge}"):
        entries = list(ask(_GET_NEIGHBOUR, DUMP, request))
    for kind, body in entries:
        state = _NEIGHBOUR.unpack_from(body)[2]
        mac = attributes(body[_NEIGHBOUR.size:]).get(_MAC)
        if kind == _NEW_NEIGHBOUR and mac and state & _NOARP and not state & _PERMANENT:
            found.add(mac.hex(":"))
    return found


def find_port(bridge: str, pid: int) -> int | None:
    """Return the index of the bridge port whose other end is in that process's network."""
    request = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(_LINK_MASTER, struct.pack("=i", index_of(bridge)))
    ports = [(body, attributes(body[LINK.size:])) for kind, body in ask(_GET_LINK, DUMP, request) if kind == _NEW_LINK]
    about = _NAMESPACE.pack(socket.AF_UNSPEC) + attribute(_NAMESPACE_PID, struct.pack("=I", pid))
    answers = [attributes(body[_NAMESPACE.size:]) for _, body in ask(_GET_NAMESPACE_ID, 0, about)]
    mine = answers[0].get(_NAMESPACE_ID) if answers else None
    return next((LINK.unpack_from(body)[2] for body, found in ports if mine and found.get(_LINK_NAMESPACE_ID) == mine), None)
