"""The worker's present state. HAProxy's replies prove nothing: every change is read back.

One command, one connection, one response within a time limit. The worker's socket comes first; where its file is gone,
the master passes the command on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing

from deployctl.effects.haproxy.socket import answers, wire
from deployctl.errors import ProxyUnavailable, SwitchRefused
from deployctl.paths import Path
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Backend
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.ports import Clock

ANSWER_SECONDS = 3.0  # seconds for one reply
_NO_WORKER = (
    "Can't find the target PID",
    "Can't connect to the target CLI",  # it has just died, and its master has not noticed yet
)


def ask(path: Path, command: str, *, timeout: float) -> str:
    """Return the whole reply to one command. Raises OSError, including TimeoutError."""
    deadline = time.monotonic() + timeout
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(command.encode("ascii") + b"\n")
        connection.shutdown(socket.SHUT_WR)  # HAProxy replies and closes; without it a reply may never end
        parts: list[bytes] = []
        while part := connection.recv(65536):
            parts.append(part)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
    return b"".join(parts).decode("utf-8", "replace")


def is_answered(path: Path) -> bool:
    """Return whether a HAProxy responds on that socket."""
    try:
        return bool(ask(path, wire.SHOW_VERSION, timeout=ANSWER_SECONDS).strip())
    except OSError:
        return False


class HaproxySockets:
    """HAProxy's replies, or ProxyUnavailable."""

    def __init__(self, home: HaproxyHome) -> None:
        self._home = home

    def worker(self, *commands: str) -> str:
        """Send to the worker that receives traffic. Several commands are one request, and their replies follow each
        other."""
        try:
            return ask(self._home.worker, ";".join(commands), timeout=ANSWER_SECONDS)
        except (FileNotFoundError, ConnectionError):
            reply = self.master(";".join(wire.FIRST_WORKER + command for command in commands))
        except OSError as e:  # it may have received the command: never send that twice
            raise _silent(self._home.worker, e) from e
        if reply.startswith(_NO_WORKER):
            raise ProxyUnavailable("HAProxy's master has no worker", remedy=["deployctl doctor"])
        return reply

    def leaving(self, pid: int, command: str) -> str:
        """Send to a worker that only finishes open requests; an empty reply if it has just exited."""
        reply = self.master(wire.at_worker(pid, command))
        return "" if reply.startswith(_NO_WORKER) else reply

    def master(self, command: str, *, timeout: float = ANSWER_SECONDS) -> str:
        """Send to the master process. It rejects commands for a moment while it reloads."""
        try:
            return ask(self._home.master, command, timeout=timeout)
        except OSError as e:
            raise _silent(self._home.master, e) from e


def _silent(path: Path, error: OSError) -> ProxyUnavailable:
    why = error.strerror or error
    return ProxyUnavailable(f"HAProxy is not responding on {path}: {why}", remedy=["deployctl doctor"])


DELETING = 0.1  # seconds to wait for connections of removed servers; what stays is tried again at the next sync
_TICK = 0.02


class HaproxyRuntime:
    """Servers and maps of the worker that receives traffic."""

    def __init__(self, ask: Callable[[str], str], clock: Clock) -> None:
        self._ask, self._clock = ask, clock

    # -- maps -----------------------------------------------------------------------------------------------------
    def entries(self, name: str) -> dict[str, str]:
        return answers.parse_map(self._ask(wire.show_map(name)))

    def find_entry(self, name: str, key: str) -> str | None:
        return answers.parse_entry(self._ask(wire.get_entry(name, key)))

    def put_entry(self, name: str, key: str, value: str | None, *, was: str | None) -> None:
        """Set, add or (None) remove one entry. SwitchRefused if HAProxy does not report the same afterwards."""
        reply = self._change(name, key, value, was=was)
        found = self.find_entry(name, key)
        if found != value:
            raise SwitchRefused(
                f"HAProxy did not confirm {key} → {value or 'nothing'} in {name}: it has {found or 'nothing'}"
                + (f" ({reply})" if reply else ""),
                remedy=["deployctl doctor"],
            )

    def _change(self, name: str, key: str, value: str | None, *, was: str | None) -> str:
        if value == was:
            return ""
        if value is None:
            command = wire.del_entry(name, key)
        else:  # adding an existing key would create a second entry
            command = (wire.add_entry if was is None else wire.set_entry)(name, key, value)
        return self._ask(command).strip()

    def fill_map(self, name: str, wanted: Mapping[str, str]) -> None:
        """Make a map contain exactly that, one key at a time. SwitchRefused if it then does not."""
        found = self.entries(name)
        for key in {**found, **wanted}:
            self._change(name, key, wanted.get(key), was=found.get(key))
        if self.entries(name) != dict(wanted):
            raise SwitchRefused(f"HAProxy did not accept {name}", remedy=["deployctl doctor"])

    # -- servers --------------------------------------------------------------------------------------------------
    def servers(self) -> dict[str, answers.ServerState]:
        return answers.parse_servers(self._ask(wire.SHOW_SERVERS))

    def ensure_ready(self, place: str, server_id: int) -> bool:
        """Enable a server and read that back; False if HAProxy has no such server, or keeps it disabled."""
        reply = self._ask(wire.set_ready(place)).strip()
        show = wire.show_stat(server_id, wire.section_of(place))
        return not reply and answers.takes_requests(self._ask(show), place.rpartition("/")[2])

    def ensure_servers(self, wanted: Mapping[str, Backend]) -> None:
        """Add missing servers, correct those that differ, read back; they are given by place. SwitchRefused names what
        HAProxy did not accept."""
        found = self.servers()
        replies = {name: reply for name, b in wanted.items() if (reply := self._correct(name, found.get(name), b))}
        if not replies and not any(needs_correction(found.get(name), b) for name, b in wanted.items()):
            return
        found = self.servers()
        for name, backend in wanted.items():
            if needs_correction(found.get(name), backend):
                raise SwitchRefused(f"HAProxy did not accept the server {name}: {replies.get(name) or 'no reason given'}")

    def _correct(self, place: str, server: answers.ServerState | None, backend: Backend) -> str:
        """Return HAProxy's reply; empty if there was nothing to correct. A server that takes requests is checked: that it
        does comes last."""
        replies, section = list[str](), wire.section_of(place)
        if server is None:
            replies.append(self._ask(wire.add_server(backend, section)))
        elif not _is_at(server, backend):
            replies.append(self._ask(wire.set_address(backend, section)))
        if server is None or not server.ready:
            if backend.replica:
                replies.append(self._ask(wire.enable_checks(place)))
            replies.append(self._ask(wire.set_ready(place)))
        return "; ".join(reply.strip() for reply in replies if reply.strip())

    def remove_servers(self, *, but: Collection[str], of: Collection[str] = ()) -> None:
        """Remove all others, except all `of` those releases. One that still has a request open is left in maintenance,
        where it gets no others."""
        leaving = {name: server for name, server in self.servers().items()
                   if name not in but and answers.of_release(server.name) not in of}
        for name, server in leaving.items():
            self._ask(wire.set_maint(name))
            self._ask(wire.close_idle(name, server.port))
        deadline, left = self._clock.now() + DELETING, set(leaving)
        while left := {name for name in left if not self._delete(name)}:
            if self._clock.now() >= deadline:
                return
            self._clock.sleep(_TICK)

    def _delete(self, name: str) -> bool:
        reply = self._ask(wire.del_server(name))
        return "Server deleted" in reply or "No such server" in reply


def needs_correction(server: answers.ServerState | None, backend: Backend) -> bool:
    """Return whether HAProxy lacks the server, has it disabled or has it at another address."""
    return server is None or not server.ready or not _is_at(server, backend)


def _is_at(server: answers.ServerState, backend: Backend) -> bool:
    return (server.address, server.port) == (wire.require_address(backend.address), backend.port)
