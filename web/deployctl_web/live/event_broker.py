"""Who is watching, and what is sent to them. A stream that falls behind, or returns after too long, begins with a
snapshot."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from threading import Event, Lock
from typing import Any

from deployctl.domain.host.access import Principal, Role
from deployctl.domain.inputs.names import AppName
from deployctl.errors import NotFound
from deployctl.memory import Bounded, size_of
from deployctl.usecases.results import AppView
from deployctl.usecases.views import as_json
from deployctl_web.live.event_messages import EventMessage, Stream
from deployctl_web.live.jobs import Job
from deployctl_web.live.status_cache import StatusCache

MAX_STREAMS = 24  # each occupies a thread of the server, and pages must be served beside them
EACH = 6  # per session or token: a browser needs one for all its tabs
MAX_KEPT_MESSAGES = 512  # messages that a stream can miss and still resume
MAX_KEPT_BYTES = 4 * 2**20  # bytes that they may take


class EventBroker:
    """The open streams and the last messages. `someone` is set while somebody watches."""

    def __init__(self, status_cache: StatusCache, each: int = EACH) -> None:
        self._status_cache, self._each = status_cache, each
        self._streams: dict[Stream, None] = {}  # oldest first
        self._past: Bounded[int, EventMessage] = Bounded(MAX_KEPT_BYTES, entries=MAX_KEPT_MESSAGES,
                                                         size=lambda message: message.size)
        self._number = int(time.time())  # keeps growing across a restart, so that an old id is not mistaken for ours
        self._unread = 0  # the number at which something changed that no message reports
        self._lock, self.someone, self.closed = Lock(), Event(), False
        self.displaced = 0  # streams that ended to make room for another one

    # -- streams -------------------------------------------------------------------------------------------------
    @property
    def watched(self) -> bool:
        return bool(self._streams)

    def open(self, who: Principal, apps: frozenset[AppName] | None, *, closely: frozenset[AppName] = frozenset(),
             last: int | None = None, gone: Callable[[], bool] = bool) -> Stream:
        """Return a stream that resumes after message `last` if that is still known. If all are taken it replaces the
        oldest one of this session, or of the session with the most.

        `gone` says whether its browser has disconnected, which is otherwise noticed only when something is sent.
        """
        stream = Stream(who, apps, closely or apps or frozenset(), gone)
        with self._lock:
            self._make_room(who)
            past = self._past.values()
            known = last is not None and bool(past) and max(past[0].id - 1, self._unread) <= last <= self._number
            stream.missed = not known
            for message in past if known else ():
                if message.id > (last or 0) and stream.wants(message):
                    stream.put(message)
            self._streams[stream] = None
            self.someone.set()
        return stream

    def _make_room(self, who: Principal) -> None:
        """End disconnected streams if room is needed; if that is not enough, one that is still read."""
        own = [one for one in self._streams if _session(one.who) == _session(who)]
        if len(own) < self._each and len(self._streams) < MAX_STREAMS:
            return
        for stream in [one for one in self._streams if one.gone()]:
            del self._streams[stream]
            stream.end()
        own = [one for one in own if not one.over]
        if len(own) >= self._each:
            self._displace(own[0])
        elif len(self._streams) >= MAX_STREAMS:
            most = Counter(one.who.actor for one in self._streams).most_common(1)[0][0]
            self._displace(next(one for one in self._streams if one.who.actor == most))

    def _displace(self, stream: Stream) -> None:
        self.displaced += 1
        del self._streams[stream]
        stream.displaced = True
        stream.end()

    def leave(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream, None)
            if not self._streams:
                self.someone.clear()

    def snapshot(self, stream: Stream) -> EventMessage:
        """Return everything that the stream's page shows, as it is now."""
        stream.begin_anew()
        number = self._number  # what happens while this is read is sent again
        views = self._status_cache.home().value.apps if stream.apps is None else self._still_there(stream.apps)
        seen = [view for view in views if stream.who.may(Role.VIEWER, AppName(view.app))]
        return EventMessage(number, "snapshot", None, {"apps": [as_json(view) for view in seen]})

    def _still_there(self, apps: Iterable[AppName]) -> list[AppView]:
        found = []
        for app in sorted(apps):
            with suppress(NotFound):
                found.append(self._status_cache.app(app).value)
        return found

    @property
    def bytes(self) -> int:
        """Return the size of the last messages that a page can miss."""
        return self._past.bytes

    @property
    def bytes_waiting(self) -> int:
        """Return the size of what waits for slow pages; a message that waits for several counts for each."""
        with self._lock:
            return sum(stream.bytes for stream in self._streams)

    def looked_at(self) -> set[AppName]:
        """Return the apps that have a page of their own open somewhere."""
        with self._lock:
            return {app for one in self._streams for app in one.closely}

    def all_looked_at(self) -> bool:
        with self._lock:
            return any(one.apps is None for one in self._streams)

    # -- publishing ------------------------------------------------------------------------------------------------
    def publish(self, kind: str, app: AppName | None, data: Mapping[str, Any]) -> None:
        with self._lock:
            self._number += 1
            message = EventMessage(self._number, kind, app, data, size_of(data))
            if kind != "metrics":  # a page that missed those gets the next ones
                self._past.put(message.id, message)
            for stream in self._streams:
                if stream.wants(message):
                    stream.put(message)

    def skip(self, apps: Collection[AppName]) -> None:
        """Record that these apps have changed while no page showed them, so nothing was published. A page that returns
        to one of them has missed that, and so has one that has just opened."""
        with self._lock:
            self._number += 1
            self._unread = self._number
            for stream in self._streams:
                stream.missed = stream.missed or stream.apps is None or not stream.apps.isdisjoint(apps)

    def progressed(self, job: Job) -> None:
        """Publish a job's progress; called in the job's thread."""
        if job.over:
            self._status_cache.forget(job.app)
        if self.watched:
            self.publish("progress", job.app, progress_json(job))

    def break_off(self) -> None:
        """End the streams; clients that return start afresh."""
        with self._lock:
            self._past.clear()
            self._number += 1  # so that nobody has received the message before the next one
            for stream in self._streams:
                stream.end()

    def close(self) -> None:
        """End the streams, and make whatever watches for them end."""
        self.closed = True
        self.break_off()
        self.someone.set()


def _session(who: Principal) -> tuple[str, int | None]:
    """Return the key of one session of a user, or of one token."""
    return who.actor, who.session


def progress_json(job: Job) -> dict[str, Any]:
    return {"app": job.app, "verb": job.verb, "operation": job.id, "deployment": job.deployment, "step": job.step,
            "detail": job.detail, "done": job.over,
            "error": job.error.message if job.error else None}
