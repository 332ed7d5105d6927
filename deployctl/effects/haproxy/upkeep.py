"""HAProxy stays up with the ledger's table; which release is live is never decided here.

HAProxy's route map decides that: before a reload or restart, the routes' file is made to match it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from deployctl.effects.haproxy.master import ensure_pid_file, find_master, find_stranded, require_reader
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.answers import of_release
from deployctl.errors import ProxyUnavailable, SwitchRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.effects.haproxy.config.files import (
        HaproxyFiles,
    )
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.effects.haproxy.process import HaproxyProcess
    from deployctl.effects.haproxy.socket.runtime import HaproxyRuntime
    from deployctl.effects.haproxy.totals import HaproxyTotals


class HaproxyUpkeep:
    """Repairs. The caller holds the lock."""

    def __init__(
        self, home: HaproxyHome, process: HaproxyProcess, runtime: HaproxyRuntime, files: HaproxyFiles,
        totals: HaproxyTotals, table: Callable[[], TrafficTable],
    ) -> None:  # fmt: skip
        self._home, self._process, self._runtime, self._files, self._table = home, process, runtime, files, table
        self._totals = totals

    def looks_up(self) -> bool:
        """Return whether every file of a living HAProxy exists; whether it responds is not checked."""
        return self._home.master.exists() and self._home.pid.exists() and self._files.complete()

    def ensure_up(self) -> bool:
        """Return True if it had to be started."""
        if (stranded := find_stranded(self._home)) is not None:
            self._write_all()
            self._process.relieve(stranded, self._files.token())
        self._revive_master_socket()
        if not self._process.alive():
            self._start()
            return True
        if not self._files.complete():
            self._write_all()
        elif self._home.earlier and not self._files.are_from_here():  # a link led HAProxy here: a reload moves it
            self.sync()
        ensure_pid_file(self._home)
        self._process.settle()  # one that was started before we did so
        return False

    def _revive_master_socket(self) -> None:
        if self._home.master.exists():
            return
        master = find_master(self._home)
        if master is not None:  # otherwise it is simply not running
            self._write_all()
            self._process.revive_master_socket(master)

    def _start(self) -> None:
        """Start it from the files; if those are incomplete or rejected, from the ledger."""
        if not self._files.startable():
            self._write_all()
        try:
            self._process.start()
        except ProxyUnavailable:
            if not self._write_all():
                raise
            self._process.start()

    def _write_all(self) -> bool:
        """Write every file. True if anything differed."""
        from deployctl.effects.haproxy.config.files import kept_routes

        require_reader(self._home)
        table = self._wanted()
        differed = self._files.write_routes(kept_routes(self._known_routes(table), table))
        return self._files.write(table) or differed

    def _known_routes(self, table: TrafficTable) -> dict[str, str]:
        """Return the live releases from HAProxy; if it is silent from its file, and if that is lost from the ledger."""
        from deployctl.effects.haproxy.config.files import remembered_routes

        try:
            return self._runtime.entries(wire.ROUTE)
        except (ProxyUnavailable, SwitchRefused):  # dead, or started manually from another configuration
            return self._files.find_map(wire.ROUTE) or remembered_routes(table)

    def _wanted(self) -> TrafficTable:
        """Return the ledger's table, with the pools that it leases."""
        return self._files.leased(self._table())

    def sync(self) -> int:
        """Bring files and worker to the table; return how many connections a reload has closed for that. Raises what
        HAProxy rejected, after doing all that it allows."""
        from deployctl.effects.haproxy.config.files import kept_routes, known_apps

        require_reader(self._home)
        table = self._wanted()
        routes = kept_routes(self._known_routes(table), table)
        self._files.write_routes(routes)
        closed, refused = self._reload_if_due(table)
        self._apply(table, routes)
        self._totals.forget_others(known_apps(table))
        if refused is not None:
            raise refused
        return closed

    def open_gate(self) -> None:
        """Ensure that HAProxy has its private bind. One that was deleted can only return at another path."""
        self.ensure_up()
        self.sync()
        if not self._files.gate().exists():
            table = self._wanted()
            self._files.write_afresh(table)
            if (refused := self._reload_if_due(table)[1]) is not None:
                raise refused

    def refresh_previews(self) -> None:
        """Update only the map of versions that header and cookie may select, file first: a hold does not need a whole
        sync. Nothing waits for the disk: after a power cut the next sync writes the file again from the ledger."""
        from deployctl.effects.haproxy.config.maps import maps

        entries = maps(self._table())[wire.KNOWN]
        self._files.write_map(wire.KNOWN, entries, durable=False)
        self._runtime.fill_map(wire.KNOWN, entries)

    def _reload_if_due(self, table: TrafficTable) -> tuple[int, ProxyUnavailable | None]:
        """Write the files; reload if HAProxy was started with another head, or has a port closed.

        Returns how many connections that closed, and why HAProxy rejected it, if it did.
        """
        from deployctl.effects.haproxy.config import text as config

        former = self._files.configuration()
        self._files.write(table)
        wanted = self._files.configuration()
        token = config.token_of(wanted) or ""
        if self._process.find_token() == token and not self._process.deaf():
            return 0, None
        refused = None
        try:
            with self._totals.handing_over() as closed:
                self._process.reload(token)
        except ProxyUnavailable as e:
            if former:  # a restart must come up without what HAProxy rejects
                self._files.write_configuration(config.keep_head(former, wanted))
            refused = e
        return sum(closed.values()), refused

    def _apply(self, table: TrafficTable, routes: dict[str, str]) -> None:
        """Apply the files to the worker. First what may be needed, last what is no longer needed."""
        from deployctl.effects.haproxy.config import text as config
        from deployctl.effects.haproxy.config.files import routed_releases
        from deployctl.effects.haproxy.config.maps import placed_backends

        wanted = placed_backends(table)
        self._runtime.ensure_servers(wanted)
        unknown = routed_releases(routes) - {backend.of for backend in wanted.values()}  # they serve: nothing of them goes
        for name, entries in config.maps(table).items():
            self._runtime.fill_map(name, entries | (self._leases_of(unknown) if name == wire.POOL and unknown else {}))
        self._runtime.fill_map(wire.ROUTE, routes)
        self._runtime.remove_servers(but=wanted.keys(), of=unknown)

    def _leases_of(self, names: Collection[str]) -> dict[str, str]:
        return {way: pool for way, pool in self._runtime.entries(wire.POOL).items() if of_release(way) in names}
