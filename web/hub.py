"""Who looks now, and what they are told. A stream that falls behind, or comes back after too long, begins with a snapshot."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Event, Lock
from typing import Any

from deployctl.domain.access import Principal, Role
from deployctl.domain.names import AppName
from deployctl.errors import DeployctlError, NotFound
from deployctl.ports_meter import MeterNow
from deployctl.usecases.results import AppView
from deployctl.usecases.views import app_json
from deployctl.web.board import Board
from deployctl.web.jobs import Job
from deployctl.web.lookout import Lookout
from deployctl.web.messages import Message, Stream
from deployctl.web.pool import Pool

MOST = 24  # streams; each keeps a thread of the server, and pages must be answered beside them
KEPT = 512  # messages that a stream can miss and still go on where it was


class TooMany(DeployctlError):
    """All streams are taken; whoever comes polls."""

    code = "too_many_streams"


class Hub:
    """The open streams and the last messages. `someone` is set while somebody looks."""

    def __init__(self, pool: Pool, board: Board, meter: MeterNow) -> None:
        self._board = board
        self._streams: set[Stream] = set()
        self._past: deque[Message] = deque(maxlen=KEPT)
        self._number = int(time.time())  # goes on growing over a restart, so that an old id is not taken for ours
        self._lock, self.someone, self.closed = Lock(), Event(), False
        self._lookout = Lookout(self, pool, board, meter)

    # -- streams -------------------------------------------------------------------------------------------------
    @property
    def watched(self) -> bool:
        return bool(self._streams)

    def open(self, who: Principal, apps: frozenset[AppName] | None, *, closely: frozenset[AppName] = frozenset(),
             last: int | None = None, gone: Callable[[], bool] = bool) -> Stream:
        """Return a stream that goes on after message `last` when that is still known. Raises TooMany.

        `gone` tells that its browser has hung up, which is found out otherwise only when something is sent."""
        stream = Stream(who, apps, closely or apps or frozenset(), gone)
        with self._lock:
            if len(self._streams) >= MOST:
                self._let_go()
            if len(self._streams) >= MOST:
                raise TooMany("Too many pages are open at the same time. This one asks again every few seconds.")
            known = last is not None and bool(self._past) and self._past[0].id - 1 <= last <= self._number
            stream.missed = not known
            for message in self._past if known else ():
                if message.id > (last or 0) and stream.wants(message):
                    stream.put(message)
            self._streams.add(stream)
            self.someone.set()
        return stream

    def _let_go(self) -> None:
        """End the streams that nobody hears any more: somebody else wants their place."""
        for stream in [one for one in self._streams if one.gone()]:
            self._streams.discard(stream)
            stream.end()

    def leave(self, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)
            if not self._streams:
                self.someone.clear()

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

    def looked_at(self) -> set[AppName]:
        """Return the apps that have a page of their own open somewhere."""
        with self._lock:
            return {app for one in self._streams for app in one.closely}

    def all_looked_at(self) -> bool:
        with self._lock:
            return any(one.apps is None for one in self._streams)

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

    def break_off(self) -> None:
        """End the streams; who comes back begins anew."""
        with self._lock:
            self._past.clear()
            self._number += 1  # so that nobody has heard the message before the next one
            for stream in self._streams:
                stream.end()

    def close(self) -> None:
        """End the streams, and the look that is under way, unless an engine keeps that waiting for long."""
        self.closed = True
        self.break_off()
        self.someone.set()
        self._lookout.join()


def progress_json(job: Job) -> dict[str, Any]:
    return {"app": job.app, "verb": job.verb, "operation": job.id, "deployment": job.deployment, "step": job.step,
            "detail": job.detail, "done": job.over,
            "error": job.error.message if job.error else None}
