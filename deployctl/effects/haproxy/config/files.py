"""The files HAProxy starts and reloads from. Each is replaced atomically, and only if it differs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.effects.haproxy.config.maps import map_text, read_map
from deployctl.effects.haproxy.process import find_binary, find_version
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.answers import parse_map, parse_servers, parse_version
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.linux.whole_file import PART_SUFFIX, write_whole
from deployctl.errors import ProxyUnavailable, SwitchRefused, Untrusted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.domain.proxy.trust import DroppedFront
    from deployctl.effects.haproxy.config import text as config
    from deployctl.effects.haproxy.home import HaproxyHome

HAPROXY_THREADS = 4  # more cost memory and do not speed up one server's load
_MAPS = (wire.ROUTE, wire.KNOWN, wire.VERSION, wire.HOST)
_SOME_MAPS = (wire.FRONT, wire.POOL, wire.PORT, wire.QUEUE)


class HaproxyFiles:
    """haproxy.cfg and its maps. The caller holds the lock."""

    def __init__(self, home: HaproxyHome, spec: ServerSpec) -> None:
        self._home, self._spec = home, spec

    def startable(self) -> bool:
        """Return whether HAProxy would start from them as ours with a live version."""
        from deployctl.effects.haproxy.config import text as config

        return self.complete() and config.token_of(self.configuration()) is not None and bool(self.find_map(wire.ROUTE))

    def complete(self) -> bool:
        config = self.configuration()
        needed = (*_MAPS, *(name for name in _SOME_MAPS if f"({name})" in config))  # 0.1.0 had no map of fronts
        return bool(config) and all(self._path(name).exists() for name in needed)

    def has_queue(self) -> bool:
        """Return whether requests of some app may have to wait."""
        return wire.QUEUE in self.configuration()

    def token(self) -> str:
        """Return the token of the configuration on disk; empty if it is not ours."""
        from deployctl.effects.haproxy.config import text as config

        return config.token_of(self.configuration()) or ""

    def are_from_here(self) -> bool:
        """Return whether they were written at the home's present path."""
        return f" stats socket {self._home.worker} " in self.configuration()

    def configuration(self) -> str:
        """Return haproxy.cfg from disk; empty if it is missing."""
        return _read(self._home.config) or ""

    def gate(self) -> Path:
        """Return the path of that configuration's private bind."""
        from deployctl.effects.haproxy.config import text as config

        return self._home.gate(config.token_of(self.configuration()) or "")

    def find_map(self, name: str) -> dict[str, str] | None:
        """Return a map from disk; None if it is missing."""
        text = _read(self._path(name))
        return None if text is None else read_map(text)

    def servers(self, way: str) -> list[ServerLine]:
        """Return the configured servers that requests for a release, or for a further port of it, may go to."""
        config = self.configuration()
        return find_servers(config, way, self._home.leases().get(way) if f"({wire.POOL})" in config else None)

    def servers_of(self, name: str) -> list[ServerLine]:
        """Return every configured server of a release."""
        return servers_of_release(self.configuration(), name)

    def leased(self, table: TrafficTable) -> TrafficTable:
        """Return the table with the pools that what has replicas leases: as the running HAProxy has them, or else its
        file."""
        if not any(backend.replica for backend in table.backends):
            return table
        from deployctl.effects.haproxy.config.pools import leased

        worker, occupied = HaproxySockets(self._home).worker, dict[str, list[str]]()
        try:
            former = parse_map(worker(wire.show_map(wire.POOL)))
            for server in parse_servers(worker(wire.SHOW_SERVERS)).values():
                occupied.setdefault(server.section, []).append(server.name)
        except (ProxyUnavailable, SwitchRefused):  # dead, or it has no pools yet
            former = self.find_map(wire.POOL) or {}
        return leased(table, former, occupied)

    def write(self, table: TrafficTable) -> bool:
        """Write the table to the files, except routes. True if anything differed."""
        from deployctl.effects.haproxy.config import text as config
        from deployctl.effects.haproxy.config.fronts import presumed_fronts

        self._sweep()
        texts = {self._path(name): config.map_text(entries) for name, entries in config.maps(table).items()}
        if not self._path(wire.FRONT).exists():
            presumed = presumed_fronts(table, self._spec, self.configuration(), self._home)
            texts[self._path(wire.FRONT)] = config.map_text(presumed)
        if table.queues:
            texts |= self._queue()
        texts[self._home.config] = self.expected(table)
        differed = [_write(path, text) for path, text in texts.items()]
        return any(differed)

    def _queue(self) -> dict[Path, str]:
        """Return what lets requests wait; who waits now stays as it is."""
        from deployctl.effects.haproxy.config import queue

        path = self._path(wire.QUEUE)
        return {self._path(queue.SCRIPT): queue.TEXT} | ({} if path.exists() else {path: ""})

    def dropped_fronts(self, found: Mapping[str, str], table: TrafficTable) -> dict[AppName, DroppedFront]:
        """Read the running map of fronts."""
        from deployctl.effects.haproxy.config.fronts import read_fronts

        return read_fronts(found, table, self._spec, self._home)

    def write_configuration(self, text: str) -> bool:
        return _write(self._home.config, text)

    def write_routes(self, routes: Mapping[str, str]) -> bool:
        return self.write_map(wire.ROUTE, routes)

    def write_map(self, name: str, entries: Mapping[str, str], *, durable: bool = True) -> bool:
        return _write(self._path(name), map_text(entries), durable=durable)

    def expected(self, table: TrafficTable) -> str:
        """Render haproxy.cfg with the token on disk, or with a fresh one if HAProxy has to reload for it."""
        from deployctl.effects.haproxy.config import text as config

        former, machine = self.configuration(), self._machine()
        token = config.token_of(former) or _fresh_token()
        kept = config.render(table, self._spec, machine, token)
        if former and not config.needs_reload(former, kept):
            return kept
        return config.render(table, self._spec, machine, _fresh_token())

    def write_afresh(self, table: TrafficTable) -> None:
        """Give the configuration another token: HAProxy then has to reload, and its private bind gets another path."""
        from deployctl.effects.haproxy.config import text as config

        _write(self._home.config, config.render(table, self._spec, self._machine(), _fresh_token()))

    def _machine(self) -> config.ProxyHost:
        from deployctl.effects.haproxy.config import text as config

        drop_root = os.geteuid() == 0 and find_binary(self._spec)[1]
        threads = min(HAPROXY_THREADS, os.cpu_count() or 1)
        return config.ProxyHost(str(self._home.worker), self._home.gates, threads, drop_root, self._version())

    def _version(self) -> tuple[int, int]:
        """Return HAProxy's version. An untrusted program is not run to read it: the running one is asked."""
        try:
            return find_version(self._spec)
        except Untrusted:
            found = None
            with suppress(ProxyUnavailable):
                found = parse_version(HaproxySockets(self._home).worker(wire.SHOW_INFO))
            if found is None:
                raise
            return found

    def _path(self, name: str) -> Path:
        return self._home.folder / name

    def _sweep(self) -> None:
        for leftover in self._home.folder.glob(f".*{PART_SUFFIX}"):  # of a process that was killed while writing
            leftover.unlink(missing_ok=True)


def remembered_routes(table: TrafficTable) -> dict[str, str]:
    return {app: str(number) for app, number in table.actives.items()}


def kept_routes(routes: Mapping[str, str], table: TrafficTable) -> dict[str, str]:
    """Return the routes of apps in the table, without the others."""
    apps = known_apps(table)
    return {app: value for app, value in sorted(routes.items()) if app in apps}


def known_apps(table: TrafficTable) -> set[str]:
    return {*table.listens, *table.hosts.values(), *table.actives, *(backend.app for backend in table.backends)}


def routed_releases(routes: Mapping[str, str]) -> set[str]:
    """Return the releases that receive traffic; `6:7:25` names two of them."""
    return {f"{app}.{number}" for app, value in routes.items() for number in value.split(":")[:2]}


def first_release(value: str) -> int | None:
    number = value.split(":")[0]
    return int(number) if number.isdecimal() else None


def releases(routes: Mapping[str, str]) -> Iterable[tuple[str, int]]:
    return ((app, number) for app, value in routes.items() if (number := first_release(value)) is not None)


def _fresh_token() -> str:
    return f"deployctl-{os.urandom(4).hex()}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str, *, durable: bool = True) -> bool:
    if _read(path) == text:
        return False
    write_whole(path, text, durable=durable)
    return True


# -- what stands in a configuration ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ServerLine:
    """What a server line contains besides the address."""

    id: int
    bridge: str | None
    place: str


def find_server(config: str, name: str) -> ServerLine | None:
    """Return the line of one server; None if the configuration does not have it."""
    begins = config.find(f"\n  server {name} ")  # a switch waits for it, and the head is long
    return _line(config[begins + 1 :].partition("\n")[0], wire.APPS) if begins >= 0 else None


def find_servers(config: str, way: str, pool: str | None) -> list[ServerLine]:
    """Return the servers that requests for it may go to: the one of that name, or those of its pool."""
    if pool is None:
        return [line] if (line := find_server(config, way)) is not None else []
    inside = config.partition(f"\nbackend {pool}\n")[2].partition("\nbackend ")[0]
    return [found for line in inside.splitlines() if (found := _line(line, pool)) is not None]


def servers_of_release(config: str, name: str) -> list[ServerLine]:
    """Return every server of a release, those of its further ports too."""
    section, found = wire.APPS, list[ServerLine]()
    for line in config.splitlines():
        if line.startswith("backend "):
            section = line.removeprefix("backend ")
        elif line.startswith((f"  server {name} ", f"  server {name}.")) and (server := _line(line, section)) is not None:
            found.append(server)
    return found


def _line(line: str, section: str) -> ServerLine | None:
    words = line.split()
    if words[:1] != ["server"] or words[3:4] != ["id"] or not words[4].isdecimal():
        return None
    bridge = words[words.index("interface") + 1] if "interface" in words[:-1] else None
    return ServerLine(int(words[4]), bridge, wire.placed(section, words[1]))
