"""How often traffic was switched, and how fast, over the whole history: read once, then only what came since.

The sum is in the memory of `serve`. It starts again if another file replaces the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from threading import Lock

from deployctl.dataclass import dataclass, field
from deployctl.domain.inputs.names import AppName
from deployctl.ports import Services

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds that a switch took


@dataclass(slots=True)
class Times:
    """How long switches took: `within` counts those of at most each bound."""

    within: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        for i, bound in enumerate(BOUNDS):
            self.within[i] += seconds <= bound


@dataclass(frozen=True, slots=True)
class Switches:
    counts: Mapping[tuple[AppName, str], int]  # by app and kind
    times: Mapping[AppName, Times]


class SwitchTotals:
    """The running sum of one home, for any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begin_anew(None)

    def _begin_anew(self, file: tuple[int, int] | None) -> None:
        self._file, self._last = file, 0
        self._counts: Counter[tuple[AppName, str]] = Counter()
        self._times: dict[AppName, Times] = {}

    def read(self, s: Services, apps: Collection[AppName]) -> Switches:
        """Return the sum of these apps up to now."""
        with self._lock:
            if (file := s.ledger.file()) != self._file:
                self._begin_anew(file)
            for number, app, kind, ms in s.ledger.switch_times(after=self._last):
                self._last = number
                self._counts[app, kind] += 1
                if ms > 0:  # a change made outside deployctl took us no time
                    self._times.setdefault(app, Times()).add(ms / 1000)
            return Switches(
                {key: count for key, count in self._counts.items() if key[0] in apps},
                {app: Times([*one.within], one.count, one.seconds) for app, one in self._times.items() if app in apps})
