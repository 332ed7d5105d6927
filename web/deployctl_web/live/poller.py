"""One thread that watches ledger, health and counters for all streams, and does nothing while nobody watches.

`looks` decides what is read and when, and yields the pauses between; the thread only waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from threading import Thread
from typing import Any

from deployctl.dataclass import asdict
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, ComponentName, backing_of, owner_of
from deployctl.errors import DeployctlError
from deployctl.ports import Clock, Services
from deployctl.ports.metrics import ContainerNow, LiveMetrics, sum_of
from deployctl.usecases.results import AppView
from deployctl.usecases.views import as_json
from deployctl_web.live.event_broker import EventBroker
from deployctl_web.live.status_cache import StatusCache
from deployctl_web.services_pool import ServicesPool
from deployctl_web.waits import Waits

LAST_LOOK = 2.0  # seconds that shutdown waits for a read in progress


class Poller:
    """Sends the broker what differs since the last time, once it has begun."""

    def __init__(self, broker: EventBroker, pool: ServicesPool, status_cache: StatusCache, meter: LiveMetrics,
                 clock: Clock, waits: Waits) -> None:
        self._broker, self._pool, self._status_cache = broker, pool, status_cache
        self._meter, self._clock, self._waits = meter, clock, waits
        self._views: dict[AppName, int] = {}  # hash of what was last published of each app
        self._stamps: Mapping[AppName, str] | None = None  # the ledger's stamp of each app at the last read
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Watch in a thread of its own, until the broker is closed."""
        self._thread = Thread(target=self._run, name="poller", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the read in progress once the broker is closed, unless an engine delays it for long."""
        if self._thread is not None:
            self._thread.join(LAST_LOOK)

    def _run(self) -> None:
        try:
            for pause in self.looks():
                self._broker.someone.wait() if pause is None else self._clock.sleep(pause)
        finally:
            if not self._broker.closed:  # a bug: no page may appear live while nothing watches for it
                self._broker.break_off()
                self.begin()

    def looks(self) -> Iterator[float | None]:
        """Read when it is due, and yield how many seconds to wait before continuing; None: until somebody watches."""
        while not self._broker.closed:
            yield None
            if self._broker.closed:  # it was woken by the shutdown
                return
            try:
                with self._pool.lend(Actor("dashboard", Via.WEB)) as s:
                    yield from self._watch(s)
            except DeployctlError as e:  # the ledger is unavailable or was replaced: the streams survive it
                self._broker.publish("notice", None, {"text": e.message})
                yield self._waits.metrics

    def _watch(self, s: Services) -> Iterator[float]:
        """Poll while somebody watches, with one connection of its own."""
        version = s.ledger.data_version()
        self._compare(s)
        health_at = overview_at = metrics_at = self._clock.now()
        while self._broker.watched and not self._broker.closed:
            if (newer := s.ledger.data_version()) != version:
                version = newer
                self._compare(s)
            now = self._clock.now()
            if now >= health_at:
                health_at = now + self._waits.health
                self._look_at_health()
            if now >= overview_at:
                overview_at = now + self._waits.overview
                self._look_at_all()
            if now >= metrics_at:
                metrics_at = now + self._waits.metrics
                self._tell_metrics()
            yield self._waits.tick

    def _compare(self, s: Services) -> None:
        """Publish what differs since the last time, even if nobody watched for a while: a returning client resumes
        after the last message it received."""
        before, now = self._stamps, s.ledger.stamps()
        self._views = {app: seen for app, seen in self._views.items() if app in now}
        self._stamps = now
        if before is not None:
            self._tell_changed({app for app in {*now, *before} if now.get(app) != before.get(app)})

    def _tell_changed(self, changed: set[AppName]) -> None:
        apps = changed | {owner_of(app) for app in changed}  # the page of an app shows its backing components
        for app in apps:
            self._status_cache.forget(app)
        shown = apps if self._broker.all_looked_at() else apps & self._broker.looked_at()
        if apps != shown:
            self._broker.skip(apps - shown)
        for app in shown:
            self._tell_app(app, anyway=True)  # one step more or less shows on the page, not in the view

    def _look_at_health(self) -> None:
        for app in self._broker.looked_at():
            self._tell_app(app)

    def _look_at_all(self) -> None:
        """Read the apps that no page watches individually, for the list of all."""
        if self._broker.all_looked_at():
            closely = self._broker.looked_at()
            for view in self._status_cache.home(within=self._waits.overview).value.apps:
                if view.app not in closely:
                    self._tell(view)

    def _tell_app(self, app: AppName, *, anyway: bool = False) -> None:
        try:
            self._tell(self._status_cache.app(app).value, anyway=anyway)
        except DeployctlError:  # it was removed, or nothing responds: its page will request it and get the error
            self._broker.publish("state", app, {"app": app, "gone": True})

    def _tell(self, view: AppView, *, anyway: bool = False) -> None:
        """Publish the app if something other than a counter differs, or `anyway`."""
        sizes = self._meter.volumes(owner_of(AppName(view.app)))  # are shown beside it
        seen = hash((*map(_without_counters, (view, *view.backing)), *sorted(sizes.items())))
        if anyway or self._views.get(AppName(view.app)) != seen:
            self._views[AppName(view.app)] = seen
            self._broker.publish("state", AppName(view.app), as_json(view))

    def _tell_metrics(self) -> None:
        """Publish the counters of the apps that have a page of their own: the list of all is read again as a whole."""
        for app in self._broker.looked_at():
            latest, used = self._meter.latest(app), self._used(app)
            if latest or used:
                self._broker.publish("metrics", app, {"app": app, "releases": {n: asdict(now) for n, now in latest.items()},
                                                      "components": used})

    def _used(self, app: AppName) -> list[dict[str, Any]]:
        """Return what each component uses: of the releases with several containers, and the backing ones."""
        own = [one for one in self._stamps or () if app in {one, owner_of(one)}]
        return [used for one in own for used in _by_component(one, self._meter.containers(one))]


def _by_component(app: AppName, containers: Mapping[InstanceId, ContainerNow]) -> list[dict[str, Any]]:
    whole = Counter(one.release for one in containers)
    found: dict[tuple[int, ComponentName], list[ContainerNow]] = {}
    for one, now in containers.items():
        if whole[one.release] > 1 or backing_of(app):
            found.setdefault((one.release, one.component), []).append(now)
    return [{"release": release, "component": component, **asdict(used)}
            for (release, component), some in found.items() if (used := sum_of(some))]


_COUNTERS = frozenset({"requests", "in_flight", "failed_requests", "closed_connections", "answers_5xx", "response_ms",
                       "probe_ms"})


def _without_counters(view: AppView) -> int:
    data = as_json(view)
    for one in (data["active"], data["standby"], *data["instances"]):
        for name in _COUNTERS if one else ():
            one.pop(name, None)
    return hash(repr(data))
