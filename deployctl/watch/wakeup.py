"""What wakes the watcher: apps of which something happened. The engine's events ring it from a thread of their own."""

from __future__ import annotations

from datetime import datetime
from threading import Event, Lock, Thread

from deployctl.errors import DeployctlError
from deployctl.ports import Engine

EVERY_APP = "*"  # something happened, and nobody knows to whom
MAX_WOKEN_APPS = 1000  # apps that it remembers by name; of more it is as if it had rung for all
QUIET = 60.0  # seconds of silence after which the stream of events is asked for anew: it may be dead
ENGINE_RETRY_SECONDS = 1.0  # seconds before an engine that is away is asked again


class Wakeup:
    """Remembers for whom it was rung until somebody waits."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._lock, self._any = Lock(), Event()

    def ring(self, app: str) -> None:
        """Wake whoever waits. May be called from any thread."""
        with self._lock:
            self._rung = self._rung | {app} if len(self._rung) < MAX_WOKEN_APPS else {EVERY_APP}
            self._any.set()

    def is_rung(self) -> bool:
        return self._any.is_set()

    def wait(self, seconds: float) -> frozenset[str]:
        """Return for whom it was rung since the last time, after so many seconds at the latest."""
        self._any.wait(seconds)
        with self._lock:
            rung, self._rung = frozenset(self._rung), set()
            self._any.clear()
        return rung


def follow(engine: Engine, wakeup: Wakeup, *, since: int, ended: Event) -> None:
    """Ring for each event until `ended`. A stream that was cut has lost who knows what: everything is looked at then."""
    while not ended.is_set():
        try:
            for event in engine.events(since=since, quiet=QUIET):
                since = max(since, event.at)
                wakeup.ring(event.app or EVERY_APP)
                if ended.is_set():
                    return
            ended.wait(0.05)  # a stream that ends at once must not keep a core busy
        except DeployctlError:
            ended.wait(ENGINE_RETRY_SECONDS)
            wakeup.ring(EVERY_APP)


def start_following(engine: Engine, wakeup: Wakeup, *, now: str) -> Event:
    """Follow in a thread that ends with the process; set the event that is returned to end it before."""
    ended, since = Event(), int(datetime.fromisoformat(now).timestamp() * 10**9)
    Thread(target=follow, args=(engine, wakeup), kwargs={"since": since, "ended": ended}, name="events", daemon=True).start()
    return ended
