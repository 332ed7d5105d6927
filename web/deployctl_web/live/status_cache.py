"""The last status reading, shared by everyone: a page never waits for an engine that hangs.

Entries are refreshed when they expire or the app's ledger stamp has changed; if that takes too long, the last one is
shown with its age. A caller that accepts a slightly older one gets it immediately, while a new one is being read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from threading import RLock
from typing import Any, Generic, TypeVar, cast

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.readiness import Readiness
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.errors import DeployctlError, NotFound
from deployctl.memory import Bounded
from deployctl.ports import Services
from deployctl.usecases.results import AppView, StatusView
from deployctl.usecases.view.status import status
from deployctl.usecases.view.versions import find_idle
from deployctl_web.services_pool import ServicesPool

FRESH_SECONDS = 2.0  # seconds that a reading counts as fresh
AT_ONCE_SECONDS = 5.0  # seconds that a page shows one immediately; its event stream brings the new one
RENEWAL_WAIT_SECONDS = 0.8  # seconds that a page waits for a new one while it has an older one to show
AFTER_CHANGE = 3.0  # the same if the older one is known to be wrong
KEEPS, GLANCE = 30.0, 0.1  # the same for what is merely nice to know: it is valid for longer, and nobody waits for it
MAX_CACHE_BYTES = 32 * 2**20  # bytes of readings that are kept
READERS = 4  # threads
READINGS_STOP_WAIT_SECONDS = 1.0  # seconds that shutdown waits for readings in progress
READER = Actor("dashboard", Via.WEB)

Key = tuple[str, AppName | None]  # what is read, of which app or of all
STATUS, IDLE = "status", "idle"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CachedStatus(Generic[T]):
    """A reading. `at` is ISO 8601, UTC; `age` in seconds; `why` says why there is no newer one."""

    value: T
    at: str
    taken: float  # monotonic
    age: float = 0.0
    stale: bool = False  # older than it should be
    why: str = ""
    wrong: bool = False  # something was changed since
    stamp: Hashable = None  # the ledger's stamp before it was read
    number: int = 0  # grows with each reading that is begun


class StatusCache:
    """Reads `status`, once for everyone who requests it at the same time."""

    def __init__(self, pool: ServicesPool, now: Callable[[], float]) -> None:
        self._pool, self._now = pool, now
        self._kept: Bounded[Key, CachedStatus[Any]] = Bounded(MAX_CACHE_BYTES)
        self._flights: dict[Key, tuple[Hashable, Future[CachedStatus[Any]]]] = {}
        self._under_way: set[Future[CachedStatus[Any]]] = set()  # including those that were forgotten
        self._numbers = count(1)
        self._lock = RLock()  # a reading may be done, and stored, before its requester continues
        self._threads = ThreadPoolExecutor(READERS, "status-cache")

    def home(self, *, within: float = FRESH_SECONDS, at_once: float = 0.0,
             patience: float | None = None) -> CachedStatus[StatusView]:
        """Return all apps, at most `within` seconds old unless stale. With `patience` nobody waits longer than that for
        a new reading if there is one at all; `at_once` as for `whole`. Raises what `status` raises."""
        key = (STATUS, None)
        patience = patience if key in self._kept else None
        return cast("CachedStatus[StatusView]", self._read(key, within, at_once=at_once, patience=patience))

    def app(self, app: AppName, *, within: float = FRESH_SECONDS, patience: float | None = None) -> CachedStatus[AppView]:
        """Return one app with everything that is read only for a single one. Raises NotFound, what `status` raises, and
        TimeoutError if there is none within `patience` seconds."""
        found = self._read((STATUS, app), within, patience=patience)
        return replace(found, value=found.value.apps[0])

    def whole(self, app: AppName, *, within: float = FRESH_SECONDS, at_once: float = 0.0) -> CachedStatus[StatusView]:
        """Return one app as `status APP` does, including what is not responding. A reading of at most `at_once` seconds is
        returned without waiting for a new one, unless something has changed since."""
        return cast("CachedStatus[StatusView]", self._read((STATUS, app), within, at_once=at_once))

    def idle(self, app: AppName) -> Sequence[Readiness]:
        """Return which releases without a container can be rolled back to, as far as that is known immediately."""
        try:
            return cast("CachedStatus[Sequence[Readiness]]", self._read((IDLE, app), KEEPS, patience=GLANCE)).value
        except (TimeoutError, DeployctlError):
            return ()

    def forget(self, app: AppName | None = None) -> None:
        """Record that something was changed, in that app or anywhere: what was read or is being read is wrong."""
        with self._lock:
            shown_in = {None, app, owner_of(app)} if app is not None else None
            for key in [k for k in {*self._kept, *self._flights} if shown_in is None or k[1] in shown_in]:
                self._flights.pop(key, None)
                if (kept := self._kept.find(key)) is not None:
                    self._kept.put(key, replace(kept, wrong=True))

    @property
    def bytes(self) -> int:
        return self._kept.bytes

    def close(self) -> None:
        """Start no more readings, and give those in progress a moment: what they read from is closed next."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            under_way = set(self._under_way)
        wait(under_way, READINGS_STOP_WAIT_SECONDS)

    def _read(self, key: Key, within: float, *, at_once: float = 0.0, patience: float | None = None) -> CachedStatus[Any]:
        stamp = self._stamp(key)
        with self._lock:
            kept = self._kept.find(key)
            if kept and not kept.wrong and stamp not in {None, kept.stamp}:
                kept = replace(kept, wrong=True)
                self._kept.put(key, kept)
            if kept and not kept.wrong and self._now() - kept.taken <= within:
                return self._aged(kept)
            began, flight = self._flights.get(key) or self._take_off(key, stamp)
            if stamp not in {None, began}:  # it was started before the change
                began, flight = self._take_off(key, stamp)
            if kept and not kept.wrong and self._now() - kept.taken <= at_once:
                return self._aged(kept)
        try:
            return flight.result(patience or (None if kept is None else AFTER_CHANGE if kept.wrong else RENEWAL_WAIT_SECONDS))
        except TimeoutError:
            if kept is None:
                raise
            return self._stale(key, kept, "Docker or HAProxy did not respond in time.")
        except NotFound:
            raise
        except DeployctlError as e:
            if kept is None:
                raise
            return self._stale(key, kept, e.message)

    def _stamp(self, key: Key) -> Hashable:
        """Return what differs after the app, or any, was changed by whatever process; None if unknown."""
        try:
            with self._pool.lend(READER) as s:
                stamps = s.ledger.stamps(key[1])
        except DeployctlError:
            return None
        return frozenset(stamps.items())

    def _take_off(self, key: Key, stamp: Hashable) -> tuple[Hashable, Future[CachedStatus[Any]]]:
        flight = self._threads.submit(self._look, key, stamp, next(self._numbers))
        self._under_way.add(flight)
        flight.add_done_callback(self._under_way.discard)
        self._flights[key] = stamp, flight
        flight.add_done_callback(lambda done: self._land(key, done))
        return stamp, flight

    def _look(self, key: Key, stamp: Hashable, number: int) -> CachedStatus[Any]:
        with self._pool.lend(READER) as s:
            return CachedStatus(_LOOKS[key[0]](s, key[1]), s.clock.utc(), self._now(), stamp=stamp, number=number)

    def _land(self, key: Key, flight: Future[CachedStatus[Any]]) -> None:
        """Store the reading. If something was changed while it was taken it is wrong, but less so than an earlier one."""
        with self._lock:
            overtaken = self._flights.get(key, (None, None))[1] is not flight
            if not overtaken:
                del self._flights[key]
            if flight.cancelled() or isinstance(flight.exception(), NotFound):
                if not overtaken:
                    self._kept.drop(key)
            elif flight.exception() is None:
                seen, kept = flight.result(), self._kept.find(key)
                if kept is None or kept.number < seen.number:
                    self._kept.put(key, replace(seen, wrong=overtaken))

    def _aged(self, seen: CachedStatus[Any]) -> CachedStatus[Any]:
        return replace(seen, age=max(0.0, self._now() - seen.taken))

    def _stale(self, key: Key, seen: CachedStatus[Any], why: str) -> CachedStatus[Any]:
        """Return the last reading there is, which may have come while the caller waited for a still later one."""
        return replace(self._aged(self._kept.find(key) or seen), stale=True, why=why)


def _status(s: Services, app: AppName | None) -> StatusView:
    return status(s, app=app)


_LOOKS: dict[str, Callable[[Services, Any], Any]] = {
    STATUS: lambda s, app: _status(s, app),
    IDLE: lambda s, app: find_idle(app, s),
}
