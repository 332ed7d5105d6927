"""What a worker counts while another takes over. It empties its table when it stops, so it is read until then, over a
connection opened before: a new one would reach its successor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from deployctl.effects.haproxy.socket.talk import Talk
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.request_counts import RequestCounts

READ_INTERVAL = 0.01  # seconds between two readings
LINGER_SECONDS = 0.2  # seconds for the requests that are open when the other has taken over


@contextmanager
def read_to_the_last(path: Path, read: Callable[[Talk], RequestCounts]) -> Iterator[list[RequestCounts]]:
    """Read the worker on that socket while the block runs, and then until nothing is open or time is up. The list holds
    each reading that differed from the one before. No failure here may fail the block."""
    found: list[RequestCounts] = []
    try:
        talk = Talk(path)
    except OSError:
        yield found
        return
    over = Event()
    reader = Thread(target=_follow, args=(lambda: read(talk), found, over), name="handover", daemon=True)
    reader.start()
    try:
        yield found
    finally:
        over.set()
        reader.join()
        talk.close()


def _follow(read: Callable[[], RequestCounts], found: list[RequestCounts], over: Event) -> None:
    until = float("inf")
    with suppress(OSError):
        while True:
            ended = over.is_set()
            counted = read()
            if counted != (found[-1] if found else None):
                found.append(counted)
            if not ended:
                over.wait(READ_INTERVAL)
                continue
            until = min(until, time.monotonic() + LINGER_SECONDS)
            if time.monotonic() >= until or not any(one.in_flight for one in counted.values()):
                return
            time.sleep(READ_INTERVAL)
