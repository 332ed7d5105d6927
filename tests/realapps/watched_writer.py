"""Who writes numbers without a pause, and who looks meanwhile that there are never two that store them."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deployctl.ports import Exclusion
from tests.realapps.stores import Client


@dataclass
class Writer:
    """An ordinary client that writes one number after the other, and remembers which were acknowledged."""

    connect: Callable[[], Client]
    acknowledged: list[int] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)  # when it was asked, when acknowledged

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        ended = threading.Event()
        thread = threading.Thread(target=self._write, args=(ended,))
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=90)
        assert not thread.is_alive()

    def _write(self, ended: threading.Event) -> None:
        client: Client | None = None
        for number in itertools.count():
            if ended.is_set():
                break
            try:
                client = client or self.connect()
                asked = time.monotonic()
                client.put(number)
                self.answers.append((asked, time.monotonic()))
                self.acknowledged.append(number)
            except (OSError, ValueError):
                if client is not None:
                    client.close()
                client = None
                time.sleep(0.002)
        if client is not None:
            client.close()

    def longest_gap(self, since: float) -> float:
        """Return the seconds from the last acknowledgement before a gap to the first one after it."""
        good = [done for _, done in self.answers if done >= since]
        return max((later - earlier for earlier, later in itertools.pairwise(good)), default=math.inf)


class Watch:
    """Looks at the kernel's locks all the time: how many containers held one, and whether there were ever two."""

    def __init__(self, exclusion: Exclusion, lock: str) -> None:
        self._exclusion, self._lock = exclusion, lock
        self.worst, self.looks = 0, 0

    @contextmanager
    def looking(self) -> Iterator[Watch]:
        ended = threading.Event()
        thread = threading.Thread(target=self._look, args=(ended,))
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=30)

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(0.001):
            holders = self._exclusion.holders(self._lock)
            self.worst, self.looks = max(self.worst, len(set(holders))), self.looks + 1
