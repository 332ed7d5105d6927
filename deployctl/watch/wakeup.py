"""What wakes the watcher: apps to which something happened. The engine's events set it from a thread of their own."""

from __future__ import annotations

from threading import Event, Lock, Thread

from deployctl.errors import DeployctlError
from deployctl.ports import Engine
from deployctl.stdlib import datetime

EVERY_APP = "*"  # something happened, to an unknown app
MAX_WOKEN_APPS = 1000  # apps that it remembers by name; beyond that it counts as set for all
QUIET = 60.0  # seconds of silence after which the event stream is reopened: it may be dead
ENGINE_RETRY_SECONDS = 1.0  # seconds before an unreachable engine is retried


class Wakeup:
    """Remembers the apps it was set for until they are taken."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._lock, self._any = Lock(), Event()

    def ring(self, app: str) -> None:
        """Wake the waiting thread. May be called from any thread."""
        with self._lock:
            self._rung = self._rung | {app} if len(self._rung) < MAX_WOKEN_APPS else {EVERY_APP}
            self._any.set()

    def is_rung(self) -> bool:
        return self._any.is_set()

    def wait(self, seconds: float) -> frozenset[str]:
        """Return the apps it was set for since the last call, after that many seconds at the latest."""
        self._any.wait(seconds)
        with self._lock:
            rung, self._rung = frozenset(self._rung), set()
            self._any.clear()
        return rung


def follow(engine: Engine, wakeup: Wakeup, *, since: int, ended: Event) -> None:
    """Set it for each event until `ended`. A broken stream has lost unknown events: then it is set for every app."""
    while not ended.is_set():
        try:
            for event in engine.events(since=since, quiet=QUIET):
                since = max(since, event.at)
                wakeup.ring(event.app or EVERY_APP)
                if ended.is_set():
                    return
            ended.wait(0.05)  # a stream that ends immediately must not keep a core busy
        except DeployctlError:
            ended.wait(ENGINE_RETRY_SECONDS)
            wakeup.ring(EVERY_APP)


def start_following(engine: Engine, wakeup: Wakeup, *, now: str) -> Event:
    """Follow in a daemon thread; set the returned event to end it earlier."""
    ended, since = Event(), int(datetime.fromisoformat(now).timestamp() * 10**9)
    Thread(target=follow, args=(engine, wakeup), kwargs={"since": since, "ended": ended}, name="events", daemon=True).start()
    return ended
