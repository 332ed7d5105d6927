"""Who looks now, and what they are told: one thread watches ledger, health and counters for all streams together.

While nobody looks it does nothing. A stream that falls behind, or comes back after too long, begins with a snapshot.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import Any

from deployctl.domain.access import Principal, Role
from deployctl.domain.names import AppName
from deployctl.errors import DeployctlError, NotFound
from deployctl.ports import Services
from deployctl.ports_meter import MeterNow
from deployctl.usecases.results import AppView
from deployctl.usecases.views import app_json
from deployctl.web.board import Board
from deployctl.web.jobs import Job
from deployctl.web.pool import Pool

MOST = 24  # streams; each keeps a thread of the server, and pages must be answered beside them
TICK = 0.1  # seconds between two looks at the ledger while somebody looks
HEALTH = 2.0  # seconds between two looks at the health of the apps that somebody looks at
OVERVIEW = 5.0  # likewise when all apps are looked at
METRICS = 1.0
LAST_LOOK = 2.0  # seconds that the end waits for a look under way
KEPT = 512  # messages that a stream can miss and still go on where it was
BEHIND = 1024  # messages that wait for a slow stream: some for each app of a large server


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the stream; `app` None is for everybody who may see the server."""

    id: int
    kind: str  # snapshot, state, progress, metrics, notice
    app: AppName | None
    data: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Stream:
    """One browser that looks at some apps, or with None at all that it may see; at those of `closely` each by itself."""

    who: Principal
    apps: frozenset[AppName] | None
    closely: frozenset[AppName]
    waiting: Queue[Message | None] = field(default_factory=lambda: Queue(BEHIND))  # None wakes it up: it is over
    missed: bool = False  # it must begin anew with a snapshot
    over: bool = False

    def wants(self, message: Message) -> bool:
        if message.app is None:
            return self.who.may(Role.VIEWER, None)
        if message.kind == "metrics" and message.app not in self.closely:
            return False
        return (self.apps is None or message.app in self.apps) and self.who.may(Role.VIEWER, message.app)

    def next(self, seconds: float) -> Message | None:
        """Return the next message, None when there was none for so long."""
        try:
            return self.waiting.get(timeout=seconds) if seconds else self.waiting.get_nowait()
        except Empty:
            return None

    def put(self, message: Message | None) -> None:
        try:
            self.waiting.put_nowait(message)
        except Full:
            self.missed = True

    def begin_anew(self) -> None:
        """Let go of what waits: what is read now is newer."""
        self.missed = False
        while self.next(0) is not None:
            pass


class TooMany(DeployctlError):
    """All streams are taken; whoever comes polls."""

    code = "too_many_streams"


class Hub:
    """The open streams and the last messages."""

    def __init__(self, pool: Pool, board: Board, meter: MeterNow) -> None:
        self._pool, self._board, self._meter = pool, board, meter
        self._streams: set[Stream] = set()
        self._past: deque[Message] = deque(maxlen=KEPT)
        self._number = int(time.time())  # goes on growing over a restart, so that an old id is not taken for ours
        self._lock, self._someone, self._closed = Lock(), Event(), False
        self._views: dict[AppName, str] = {}
        self._thread = Thread(target=self._watch, name="hub", daemon=True)
        self._thread.start()

    # -- streams -------------------------------------------------------------------------------------------------
    @property
    def watched(self) -> bool:
        return bool(self._streams)

    def open(self, who: Principal, apps: frozenset[AppName] | None, *, closely: frozenset[AppName] = frozenset(),
             last: int | None = None) -> Stream:
        """Return a stream that goes on after message `last` when that is still known. Raises TooMany."""
        stream = Stream(who, apps, closely or apps or frozenset())
        with self._lock:
            if len(self._streams) >= MOST:
                raise TooMany("Too many pages are open at the same time. This one asks again every few seconds.")
            known = last is not None and bool(self._past) and self._past[0].id - 1 <= last <= self._number
            stream.missed = not known
            for message in self._past if known else ():
                if message.id > (last or 0) and stream.wants(message):
                    stream.put(message)
            self._streams.add(stream)
            self._someone.set()
        return stream

    def leave(self, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)
            if not self._streams:
                self._someone.clear()

    def snapshot(self, stream: Stream) -> Message:
        """Return all that the stream's page shows, as it is now."""
        stream.begin_anew()
        number = self._number  # what happens while this is read is told once more
        views = self._board.home().value.apps if stream.apps is None else self._still_there(stream.apps)
        seen = [view for view in views if stream.who.may(Role.VIEWER, AppName(view.app))]
        return Message(number, "snapshot", None, {"apps": [app_json(view) for view in seen]})

    def _still_there(self, apps: Iterable[AppName]) -> list[AppView]:
        found = []
        for app in sorted(apps):
            with suppress(NotFound):
                found.append(self._board.app(app).value)
        return found

    # -- what is told --------------------------------------------------------------------------------------------
    def publish(self, kind: str, app: AppName | None, data: Mapping[str, Any]) -> None:
        with self._lock:
            self._number += 1
            message = Message(self._number, kind, app, data)
            if kind != "metrics":  # who missed those looks at the next ones
                self._past.append(message)
            for stream in self._streams:
                if stream.wants(message):
                    stream.put(message)

    def progressed(self, job: Job) -> None:
        """Tell how far a job is; called in the job's thread."""
        if job.over:
            self._board.forget(job.app)
        if self.watched:
            self.publish("progress", job.app, progress_json(job))

    def close(self) -> None:
        """End the streams, and the look that is under way, unless an engine keeps that waiting for long."""
        with self._lock:
            self._closed = True
            for stream in self._streams:
                stream.over = True
                stream.put(None)
            self._someone.set()
        self._thread.join(LAST_LOOK)

    # -- watching ------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        while not self._closed:
            self._someone.wait()
            if self._closed:
                return
            try:
                with self._pool.lend("dashboard (web)") as s:
                    self._watch_with(s)
            except DeployctlError as e:  # the ledger is away or was replaced: the streams bear it
                self.publish("notice", None, {"text": e.message})
                time.sleep(METRICS)

    def _watch_with(self, s: Services) -> None:
        """Look again and again while somebody looks, with one connection of its own."""
        version, stamps = s.ledger.data_version(), s.ledger.stamps()
        health_at = overview_at = metrics_at = time.monotonic()
        while self.watched and not self._closed:
            if (newer := s.ledger.data_version()) != version:
                version, before, stamps = newer, stamps, s.ledger.stamps()
                self._tell_changed({app for app in {*stamps, *before} if stamps.get(app) != before.get(app)})
            now = time.monotonic()
            if now >= health_at:
                health_at = now + HEALTH
                self._look_at_health()
            if now >= overview_at:
                overview_at = now + OVERVIEW
                self._look_at_all()
            if now >= metrics_at:
                metrics_at = now + METRICS
                self._tell_metrics()
            time.sleep(TICK)

    def _tell_changed(self, apps: set[AppName]) -> None:
        for app in apps:
            self._board.forget(app)
        for app in apps if self._all_looked_at() else apps & self.looked_at():
            self._tell_app(app, anyway=True)  # a step more or less shows on the page, not in the view

    def looked_at(self) -> set[AppName]:
        """Return the apps that have a page of their own open somewhere."""
        with self._lock:
            return {app for one in self._streams for app in one.closely}

    def _all_looked_at(self) -> bool:
        with self._lock:
            return any(one.apps is None for one in self._streams)

    def _look_at_health(self) -> None:
        for app in self.looked_at():
            self._tell_app(app)

    def _look_at_all(self) -> None:
        """Look at what nobody looks at more closely, for the list of all."""
        if self._all_looked_at():
            closely = self.looked_at()
            for view in self._board.home(within=OVERVIEW).value.apps:
                if view.app not in closely:
                    self._tell(view)

    def _tell_app(self, app: AppName, *, anyway: bool = False) -> None:
        try:
            self._tell(self._board.app(app).value, anyway=anyway)
        except DeployctlError:  # it was removed, or nothing answers: its page asks and is told why
            self.publish("state", app, {"app": app, "gone": True})

    def _tell(self, view: AppView, *, anyway: bool = False) -> None:
        """Publish the app when something differs that is not a mere counter, or `anyway`."""
        seen = _without_counters(view)
        if anyway or self._views.get(AppName(view.app)) != seen:
            self._views[AppName(view.app)] = seen
            self.publish("state", AppName(view.app), app_json(view))

    def _tell_metrics(self) -> None:
        """Tell the counters of the apps that a page shows by themselves: the list of all is read again as a whole."""
        for app in self.looked_at():
            if latest := self._meter.latest(app):
                self.publish("metrics", app, {"app": app, "releases": {n: asdict(now) for n, now in latest.items()}})


_COUNTERS = frozenset({"requests", "in_flight", "failed_requests", "answers_5xx", "response_ms", "probe_ms"})


def _without_counters(view: AppView) -> str:
    data = app_json(view)
    for one in (data["active"], data["standby"], *data["instances"]):
        for name in _COUNTERS if one else ():
            one.pop(name, None)
    return repr(data)


def progress_json(job: Job) -> dict[str, Any]:
    return {"app": job.app, "verb": job.verb, "operation": job.id, "deployment": job.deployment, "step": job.step,
            "detail": job.detail, "done": job.over,
            "error": job.error.message if job.error else None}
