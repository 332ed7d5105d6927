"""The worker's present state. HAProxy's replies prove nothing: every change is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from deployctl.effects.haproxy.socket import answers, wire
from deployctl.errors import SwitchRefused

if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Backend
    from deployctl.ports import Clock

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
        said = self._change(name, key, value, was=was)
        found = self.find_entry(name, key)
        if found != value:
            raise SwitchRefused(
                f"HAProxy did not confirm {key} → {value or 'nothing'} in {name}: it has {found or 'nothing'}"
                + (f" ({said})" if said else ""),
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

    def ensure_ready(self, server: str, server_id: int) -> bool:
        """Enable a server and read that back; False if HAProxy has no such server, or keeps it disabled."""
        said = self._ask(wire.set_ready(server)).strip()
        return not said and answers.takes_requests(self._ask(wire.show_stat(server_id)), server)

    def ensure_servers(self, wanted: Mapping[str, Backend]) -> None:
        """Add missing servers, correct those that differ, read back. SwitchRefused names what HAProxy did not
        accept."""
        found = self.servers()
        said = {name: reply for name, b in wanted.items() if (reply := self._correct(found.get(name), b))}
        if not said and not any(needs_correction(found.get(name), b) for name, b in wanted.items()):
            return
        found = self.servers()
        for name, backend in wanted.items():
            if needs_correction(found.get(name), backend):
                raise SwitchRefused(f"HAProxy did not accept the server {name}: {said.get(name) or 'no reason given'}")

    def _correct(self, server: answers.ServerState | None, backend: Backend) -> str:
        """Return HAProxy's reply; empty if there was nothing to correct."""
        said: list[str] = []
        if server is None:
            said.append(self._ask(wire.add_server(backend)))
        elif not _is_at(server, backend):
            said.append(self._ask(wire.set_address(backend)))
        if server is None or not server.ready:
            said.append(self._ask(wire.set_ready(wire.backend_name(backend))))
        return "; ".join(reply.strip() for reply in said if reply.strip())

    def remove_servers(self, *, but: set[str]) -> None:
        """Remove all others. One that still has a request open is left in maintenance, where it gets no others."""
        leaving = {name: server for name, server in self.servers().items() if name not in but}
        for name, server in leaving.items():
            self._ask(wire.set_maint(name))
            self._ask(wire.close_idle(name, server.port))
        deadline, left = self._clock.now() + DELETING, set(leaving)
        while left := {name for name in left if not self._delete(name)}:
            if self._clock.now() >= deadline:
                return
            self._clock.sleep(_TICK)

    def _delete(self, name: str) -> bool:
        said = self._ask(wire.del_server(name))
        return "Server deleted" in said or "No such server" in said


def needs_correction(server: answers.ServerState | None, backend: Backend) -> bool:
    """Return whether HAProxy lacks the server, has it disabled or has it at another address."""
    return server is None or not server.ready or not _is_at(server, backend)


def _is_at(server: answers.ServerState, backend: Backend) -> bool:
    return (server.address, server.port) == (wire.require_address(backend.address), backend.port)
