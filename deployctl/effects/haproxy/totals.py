"""The counts of each release, across reloads, restarts and crashes of HAProxy: the counters of each running worker, and
in tally.json those of workers that have exited.

A worker is read until another has taken over (handover.py), and its remaining requests for as long as it lives. What
one counts after its last reading is lost. The file is never required: without it the totals start at zero.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from deployctl.dataclass import replace
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.request_counts import COUNTS, CountedServer, Totals, carried_on, outdated
from deployctl.domain.proxy.traffic import Counters, Precision
from deployctl.effects.haproxy.master import find_birth, find_children, find_master
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.answers import parse_stat, stat_by_release
from deployctl.effects.linux.whole_file import write_whole
from deployctl.errors import ProxyUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.proxy.request_counts import RequestCounts
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.effects.haproxy.socket.answers import Processes, Stat
    from deployctl.effects.haproxy.socket.runtime import HaproxySockets
    from deployctl.effects.haproxy.socket.talk import Talk

ENDING = 1.0  # seconds that a worker has to exit when a reload ends it
KEEP = 10.0  # seconds after which new counts are written down: at most that much is lost in a crash of HAProxy
_VERSION = 1


class HaproxyTotals:
    """The totals of one home. The caller holds the lock."""

    def __init__(self, home: HaproxyHome, sockets: HaproxySockets, processes: Callable[[], Processes | None]) -> None:
        self._home, self._sockets, self._processes = home, sockets, processes
        self._file = home.folder / "tally.json"
        self._known = Totals()
        self._mark: tuple[int, int] | None = None  # which file they were read from, or written to

    def read(self) -> dict[CountedServer, Counters]:
        """Return the counts of every release that is routed to or ever was. Raises ProxyUnavailable."""
        from deployctl.effects.haproxy.config import request_counts as tally

        known, reply = self._recall(), self._sockets.worker(tally.SHOW, *self._shows())
        totals = self._carry_on(known, reply)
        if totals.living.keys() != known.living.keys() or self._is_old():
            self._keep(totals)
        self._known = totals
        return _with_stats(totals.sum(), stat_by_release(parse_stat(reply)))

    def _shows(self) -> list[str]:
        """Return the commands that list all servers: empty pools are left out."""
        return [wire.show_stat(section=section) for section in dict.fromkeys([wire.APPS, *self._home.leases().values()])]

    @contextmanager
    def handing_over(self) -> Iterator[dict[CountedServer, int]]:
        """Let a reload in the block lose no count: record what the worker has counted until it is replaced, and in the
        dict, once the block is over, the connections that the reload closed. Needs no responses."""
        from deployctl.effects.haproxy.handover import read_to_the_last

        worker, overdue, closed = self._serving(), self._overdue(), dict[CountedServer, int]()
        try:
            with read_to_the_last(self._home.worker, _counted) as found:
                yield closed
            totals = self._recall()
            for reading in found if worker else ():
                totals = carried_on(totals, {**totals.living, worker: reading}, alive={*totals.living, worker})
            self._keep(totals)
        finally:
            closed |= _ended(overdue)  # including by a reload that was rejected
            if closed:
                self._keep(self._recall().with_closed(closed))

    def _overdue(self) -> dict[str, dict[CountedServer, int]]:
        """Return the open connections of each worker that the next reload ends."""
        with suppress(ProxyUnavailable):
            found = self._processes()
            late = [pid for pid in found.leaving if found.outlived[pid] >= wire.MOST_LEAVING] if found else []
            show = ";".join(self._shows())
            return {_name(pid): _open(stat_by_release(parse_stat(self._sockets.leaving(pid, show)))) for pid in late}
        return {}

    def _serving(self) -> str:
        """Return the name of the worker that receives traffic; empty if unknown."""
        with suppress(ProxyUnavailable):
            return next((name for name, pid in self._pids().items() if pid is None), "")
        return ""

    def forget_others(self, apps: Collection[str]) -> None:
        """Delete counts of apps other than these, because a later app of that name numbers its releases from 1 again,
        and of releases that are long gone."""
        from deployctl.effects.haproxy.config import request_counts as tally

        with suppress(ProxyUnavailable):
            totals = self._look(self._recall())
            stale = outdated(totals.sum().keys(), apps)
            for app, number in stale:
                self._tell_all(tally.forget(wire.server_name(app, number)))
            if stale:
                self._keep(totals.without(stale))

    # -- the workers ----------------------------------------------------------------------------------------------
    def _look(self, known: Totals) -> Totals:
        from deployctl.effects.haproxy.config import request_counts as tally

        return self._carry_on(known, self._sockets.worker(tally.SHOW))

    def _carry_on(self, known: Totals, reply: str) -> Totals:
        """Return the totals after the reply of the worker that receives traffic, and those of workers that only
        finish."""
        pids = self._pids()
        read = {name: found for name, pid in pids.items() if (found := self._ask(pid, reply)) is not None}
        return carried_on(known, read, alive={*pids, *(name for name in known.living.keys() - pids.keys() if _is_alive(name))})

    def _pids(self) -> dict[str, int | None]:
        """Return the workers by a name that none shares with an earlier one; None: the one that receives traffic.

        The master is asked only if there are several: usually there is one, and a reply wakes it up.
        """
        master = find_master(self._home)
        if master is not None and len(alone := find_children(master)) == 1:
            return {_name(alone[0]): None}
        found = self._processes()
        if found is None or found.worker is None:
            raise ProxyUnavailable("HAProxy's master is not responding", remedy=["deployctl doctor"])
        return {_name(found.worker): None, **{_name(pid): pid for pid in found.leaving}}

    def _ask(self, pid: int | None, reply: str) -> RequestCounts | None:
        """Read one worker; for one that is exiting, None if it no longer responds."""
        from deployctl.effects.haproxy.config import request_counts as tally

        with suppress(ProxyUnavailable):
            reply = reply if pid is None else self._sockets.leaving(pid, tally.SHOW)
            return _by_release(tally.parse_table(reply)) if reply else None
        return None

    def _tell_all(self, command: str) -> None:
        for pid in self._pids().values():
            self._sockets.worker(command) if pid is None else self._sockets.leaving(pid, command)

    # -- the file -------------------------------------------------------------------------------------------------
    def _recall(self) -> Totals:
        """Return the known totals: from the file if another process has written it, else what was read last."""
        mark = self._stat()
        if mark != self._mark:
            self._known, self._mark = _parsed(self._text()), mark
        return self._known

    def _keep(self, totals: Totals) -> None:
        """What cannot be written is lost with its worker, and stops nothing."""
        with suppress(OSError):
            write_whole(self._file, _text(totals), durable=False)
        self._known, self._mark = totals, self._stat()

    def _is_old(self) -> bool:
        return self._mark is None or abs(time.time_ns() - self._mark[1]) >= KEEP * 1e9

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _text(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _counted(talk: Talk) -> dict[CountedServer, Counters]:
    from deployctl.effects.haproxy.config import request_counts as tally

    return _by_release(tally.parse_table(talk.ask(tally.SHOW)))


def _with_stats(counted: dict[CountedServer, Counters], stats: Mapping[str, Stat]) -> dict[CountedServer, Counters]:
    for name, stat in stats.items():
        server = _server(name)
        counted[server] = replace(counted.get(server, Counters()), response_ms=stat.response_ms)
    return counted


def _server(name: str) -> CountedServer:
    app, _, number = name.rpartition(".")
    return AppName(app), int(number)


def _name(pid: int) -> str:
    """Return a unique name for a process: pids are reused."""
    return f"{pid}.{find_birth(pid) or 0}"


def _open(stats: Mapping[str, Stat]) -> dict[CountedServer, int]:
    return {_server(name): stat.in_flight for name, stat in stats.items() if stat.in_flight}


def _ended(overdue: Mapping[str, Mapping[CountedServer, int]]) -> dict[CountedServer, int]:
    """Return what was open to each release in those workers that have exited, after a moment for them to exit."""
    until, closed = time.monotonic() + ENDING, dict[CountedServer, int]()
    for worker, held in overdue.items():
        while (alive := _is_alive(worker)) and time.monotonic() < until:
            time.sleep(0.01)
        for server, connections in held.items() if not alive else ():
            closed[server] = closed.get(server, 0) + connections
    return closed


def _is_alive(name: str) -> bool:
    pid = name.partition(".")[0]
    return pid.isdecimal() and _name(int(pid)) == name and find_birth(int(pid)) is not None


def _by_release(found: Mapping[str, Counters]) -> dict[CountedServer, Counters]:
    named = ((name.rpartition("."), counters) for name, counters in found.items())
    return {(AppName(app), int(number)): counters for (app, _, number), counters in named if number.isdecimal()}


# -- the file's text: numbers in the order of COUNTS ----------------------------------------------------------------
def _text(totals: Totals) -> str:
    return json.dumps({"version": _VERSION, "counts": COUNTS, "past": _rows(totals.past),
                       "workers": {name: _rows(found) for name, found in totals.living.items()}})


def _rows(found: RequestCounts) -> dict[str, list[Any]]:
    return {f"{app}.{number}": [*(getattr(one, name) for name in COUNTS), one.precision]
            for (app, number), one in sorted(found.items())}


def _parsed(text: str) -> Totals:
    """Read the file; one that is not ours is empty. Columns it does not have yet are zero."""
    try:
        raw = json.loads(text)
        names = [str(name) for name in raw["counts"]]
        return Totals(_tally(raw["past"], names), {str(w): _tally(rows, names) for w, rows in raw["workers"].items()})
    except (ValueError, LookupError, TypeError, AttributeError):
        return Totals()


def _tally(rows: Mapping[str, list[Any]], names: list[str]) -> dict[CountedServer, Counters]:
    return _by_release({server: _counters(dict(zip(names, row, strict=False)), row[-1]) for server, row in rows.items()})


def _counters(row: Mapping[str, Any], precision: str) -> Counters:
    counts: dict[str, Any] = {name: int(row.get(name, 0)) for name in COUNTS}
    return Counters(**counts, precision=Precision(precision))
