"""Routes that keep our subnets from ever leading to another host, pins of their addresses, and this host's network
state.

A guard route yields to a living bridge by its metric; when the bridge is gone, the packets go nowhere. Everything is
read from /proc and /sys; only the two commands that change a route start a process, pins do not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import closing

from deployctl.effects.linux.file_trust import find_program
from deployctl.errors import DeployctlError, Invalid, NotPermitted
from deployctl.paths import Path
from deployctl.pattern import pattern
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from deployctl.ports import Neighbour

METRIC = "4278198272"  # above every metric that people and daemons use
_UP, _REJECT = 0x1, 0x200  # RTF_UP, RTF_REJECT
_INTERFACE = pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


class LinuxGuard:
    def ensure(self, subnet: str) -> None:
        """Ensure that the subnet is unreachable unless an interface has it."""
        network = _parse(subnet)
        if str(network) not in _guarded():
            _ip("replace", str(network))

    def ensure_gone(self, subnet: str) -> None:
        """Remove the guard route. Absent is fine."""
        network = _parse(subnet)
        if str(network) in _guarded():
            _ip("del", str(network))

    def guarded(self, subnets: Iterable[str]) -> set[str]:
        found = _guarded()
        return {subnet for subnet in subnets if str(_parse(subnet)) in found}

    def may_pin(self) -> bool:
        from deployctl.effects.linux import neighbours as tables

        return tables.may_fix()

    def neighbours(self) -> dict[tuple[str, str], Neighbour]:
        from deployctl.effects.linux import neighbours as tables

        return tables.neighbours()

    def pin(self, bridge: str, address: str, mac: str, *, pid: int = 0, gateway: str = "") -> None:
        from deployctl.effects.linux import neighbours as tables

        tables.fix(bridge, address, mac)
        if pid:
            tables.fix_port(bridge, mac, pid)
        if pid and gateway:
            tables.fix_host(bridge, gateway, mac, pid)

    def unpin(self, bridge: str, address: str) -> None:
        from deployctl.effects.linux import neighbours as tables

        tables.loosen(bridge, address)

    def held(self, bridge: str) -> set[str]:
        from deployctl.effects.linux import neighbours as tables

        return tables.fixed_ports(bridge) if self.has_interface(bridge) else set()

    def bridge_up(self, bridge: str) -> bool:
        from deployctl.effects.linux.proc_net import read

        if not _INTERFACE.fullmatch(bridge):
            return False
        return bool(int(read(Path("/sys/class/net", bridge, "flags")) or "0", 16) & 0x1)  # IFF_UP

    def has_interface(self, name: str) -> bool:
        return bool(_INTERFACE.fullmatch(name)) and Path("/sys/class/net", name).exists()

    def routed_subnets(self) -> list[str]:
        """Return every IPv4 subnet of the main table that leads to an interface, except the default route."""
        from deployctl.effects.linux.proc_net import routes

        led = (route for flags, _, route in routes() if flags & _UP and not flags & _REJECT)
        return [str(route) for route in led if route.prefixlen]

    def port_taken(self, host: str, port: int) -> bool:
        """Return whether a listener on that address, or on all addresses, would be in the way."""
        from deployctl.effects.linux.proc_net import listeners

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections are not in the way
            try:
                sock.bind((host, port))
            except PermissionError:  # a low port, and not root: the kernel's list must do
                return any(port == heard for _, heard in listeners(Path("/proc/self/net")))
            except OSError as e:
                return e.errno == errno.EADDRINUSE  # an address that is not this host's is nobody's
        return False

    def has_address(self, host: str) -> bool:
        """Return whether something on this host may listen at that address, with the kernel's present settings."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
                sock.bind((host, 0))
        except OSError as e:
            return e.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
        return True

    def listening(self, pid: int) -> list[tuple[str, int]]:
        """Return (address, port) of TCP listeners in that process's network; empty if it may not be read."""
        from deployctl.effects.linux.proc_net import listeners

        return list(listeners(Path("/proc", str(pid), "net")))


def _parse(subnet: str) -> IPv4Network:
    from ipaddress import AddressValueError, IPv4Network, NetmaskValueError  # not needed by a rollback

    try:
        network = IPv4Network(subnet)
    except (AddressValueError, NetmaskValueError, ValueError) as e:
        raise Invalid(f"{subnet!r} is not an IPv4 subnet: {e}") from e
    if not network.prefixlen:
        raise Invalid("a guard route for the whole Internet would cut this host off")
    return network


def _guarded() -> set[str]:
    from deployctl.effects.linux.proc_net import routes

    return {str(route) for flags, metric, route in routes() if flags & _REJECT and metric == METRIC}


def _ip(verb: str, subnet: str) -> None:
    import subprocess

    program = find_program("ip", os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if program is None:
        raise NotPermitted(
            f"cannot guard {subnet}: the program `ip` is not installed", remedy=["sudo apt install iproute2"]
        )
    command = [program, "route", verb, "unreachable", subnet, "metric", METRIC]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired as e:
        raise DeployctlError(f"`{' '.join(command)}` did not finish within 10 s") from e
    if done.returncode and "No such process" not in done.stderr:  # another process was faster to remove it
        _refuse(command, done.stderr.strip())


def _refuse(command: list[str], stderr: str) -> None:
    if "Operation not permitted" in stderr:
        raise NotPermitted("guard routes require root", remedy=[f"sudo {' '.join(command)}"])
    raise DeployctlError(f"`{' '.join(command)}` failed: {stderr}")
