"""Which apps' requests wait at HAProxy. File first, then the running worker, then read back; the caller holds the lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from deployctl.domain.inputs.names import AppName
from deployctl.effects.haproxy.process import find_binary, require_binary, say_about_itself
from deployctl.effects.haproxy.socket import wire
from deployctl.errors import ProxyUnavailable
from deployctl.ports.traffic import QueueLack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.effects.haproxy.config.files import HaproxyFiles
    from deployctl.effects.haproxy.socket.runtime import HaproxyRuntime, HaproxySockets
    from deployctl.effects.haproxy.upkeep import HaproxyUpkeep


def queue_lack(spec: ServerSpec) -> QueueLack | None:
    """Return why no request can wait. Raises Untrusted if the program may not be asked."""
    lua = find_binary(spec)[1] or "+LUA" in say_about_itself(require_binary(spec), "-vv")  # the bundled one has it
    return None if lua else QueueLack.NO_LUA


class HaproxyQueue:
    """Who waits is in a map of HAProxy's; `leaving` are the workers that finish requests after a reload."""

    def __init__(self, files: HaproxyFiles, runtime: HaproxyRuntime, sockets: HaproxySockets, upkeep: HaproxyUpkeep,
                 leaving: Callable[[], tuple[int, ...]]) -> None:
        self._files, self._runtime, self._sockets, self._upkeep = files, runtime, sockets, upkeep
        self._leaving = leaving

    def hold(self, app: AppName, seconds: float) -> None:
        """Let them wait. HAProxy may have to reload first: apps that never wait have no rule for it."""
        longest = wire.require_number(round(seconds * 1000))
        if not self._files.has_queue():
            self._upkeep.sync()
        self._put(app, f"{round(time.time() * 1000) + longest}:{longest}")

    def release(self, app: AppName) -> None:
        """Let them go, in all workers: what waited through a reload waits in the one before it."""
        if not self._files.has_queue():
            return
        try:
            self._put(app, None)
            for pid in self._leaving():
                self._sockets.leaving(pid, wire.del_entry(wire.QUEUE, wire.require_app(app)))
        except ProxyUnavailable:  # dead, and with it all that waited; it starts from the file
            return

    def waiting(self) -> dict[AppName, float]:
        if not self._files.has_queue():
            return {}
        return _left(self._runtime.entries(wire.QUEUE), now=time.time())

    def _put(self, app: AppName, value: str | None) -> None:
        name = wire.require_app(app)
        others = {other: entry for other, entry in (self._files.find_map(wire.QUEUE) or {}).items() if other != name}
        self._files.write_map(wire.QUEUE, {**others, **({} if value is None else {name: value})}, durable=False)
        self._runtime.put_entry(wire.QUEUE, name, value, was=self._runtime.find_entry(wire.QUEUE, name))


def _left(entries: Mapping[str, str], *, now: float) -> dict[AppName, float]:
    deadlines = {AppName(app): entry.partition(":")[0] for app, entry in entries.items()}
    rests = {app: int(deadline) / 1000 - now for app, deadline in deadlines.items() if deadline.isdecimal()}
    return {app: rest for app, rest in rests.items() if rest > 0}
