"""`python -m bench.sibling STORE ADDRESS`: two clients of a server, run in the network of a container beside it.

One gives up a connection after 50 ms, the other one as systems do by default. A line `BEGAN ANSWERED` (seconds by the
monotonic clock) is answered with the longest time that each of them was without an answer since BEGAN.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from contextlib import suppress

from tests.realapps.stores import PATIENCE, STORES, Client, Store

IMPATIENT = 0.05  # seconds to connect
PAUSE = 0.002


class Meter:
    """One client that asks all the time, and when it was answered."""

    def __init__(self, store: Store, address: str, timeout: float) -> None:
        self._store, self._address, self._timeout = store, address, timeout
        self._good = list[float]()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        client: Client | None = None
        for number in itertools.count():
            try:
                client = client or self._store.connect(self._address, timeout=self._timeout)
                client.put(number)
                self._good.append(time.monotonic())
            except (OSError, ValueError):
                if client is not None:
                    client.close()
                client = None
            time.sleep(PAUSE)

    def longest(self, began: float, answered: float) -> float:
        """Return the seconds without an answer, once there is one again."""
        while not self._good or self._good[-1] < answered:
            time.sleep(PAUSE)
        kept, self._good = self._good, self._good[-1:]
        return max((later - earlier for earlier, later in itertools.pairwise(kept) if later >= began), default=0.0)


def main() -> None:
    name, address = sys.argv[1:]
    store = next(one for one in STORES if one.name == name)
    meters = [Meter(store, address, timeout) for timeout in (IMPATIENT, PATIENCE)]
    for line in sys.stdin:
        began, answered = map(float, line.split())
        sys.stdout.write(json.dumps([meter.longest(began, answered) for meter in meters]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
