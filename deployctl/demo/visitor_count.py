"""What became of the visitors. Every request that was due ends in exactly one class; none is left out.

ok          an answer below 400
app_4xx     an error answer that carries the app's mark; counted as ok: the app wrote it
app_5xx     a failure that the app wrote itself; counted apart, it is no lost request
everything else is lost:
refused, unreachable, reset, eof, timeout, protocol   no valid HTTP answer
stale       a kept connection was closed instead of answering; a retry on a fresh one is a choice, not the default
proxy_4xx, proxy_5xx   an error answer without the app's mark: the proxy wrote it
client      this machine ran out of ports or descriptors: the count is worth nothing
"""

from __future__ import annotations

import json
import math
from collections import Counter

from deployctl.dataclass import asdict, dataclass, field

ANSWERED = ("ok", "app_4xx")
KEPT_TRANSITIONS = 1000  # a canary has endless ones
_STEP = math.log(1.01)  # latencies are stored to one percent, so that a week of them takes no space


@dataclass(frozen=True, slots=True)
class Count:
    """The result of one visit. Times are in milliseconds if their name says so, else seconds since the first
    request."""

    seconds: float
    sent: int
    ok: int
    lost: int
    app_5xx: int
    by_class: dict[str, int]
    by_version: dict[str, int]
    transitions: list[tuple[float, str]]  # when responses of another version began; the first entry is the first response
    longest_gap_ms: float  # without a good response
    p50_ms: float | None  # from the moment a request was due, good responses only
    p99_ms: float | None
    max_ms: float | None
    lag_ms: float  # how late the worst request was sent, by our own fault
    retried: int
    connections: int

    @property
    def sentence(self) -> str:
        reasons = ", ".join(f"{n:,} {name}" for name, n in sorted(self.by_class.items()) if _is_lost(name))
        own = f", {self.app_5xx:,} 5xx responses from the app" if self.app_5xx else ""
        return f"{self.sent:,} requests, {self.lost:,} lost" + (f" ({reasons})" if reasons else "") + own

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "sentence": self.sentence})

    @classmethod
    def from_json(cls, text: str | bytes) -> Count:
        raw = json.loads(text)
        del raw["sentence"]
        return cls(**{**raw, "transitions": [(at, version) for at, version in raw["transitions"]]})


@dataclass
class VisitCount:
    """Counts responses in the order in which they arrive."""

    retried: int = 0
    connections: int = 0
    lag: float = 0.0
    _by_class: Counter[str] = field(default_factory=Counter)
    _by_version: Counter[str] = field(default_factory=Counter)
    _transitions: list[tuple[float, str]] = field(default_factory=list)
    _latencies: Counter[int] = field(default_factory=Counter)
    _max: float = 0.0
    _gap: float = 0.0
    _last_good: float = 0.0

    def add(self, name: str, *, due: float, done: float, version: str | None = None) -> None:
        self._by_class[name] += 1
        if name in ANSWERED:
            self._good(due, done, version or "?")

    def _good(self, due: float, done: float, version: str) -> None:
        self._by_version[version] += 1
        if not self._transitions or self._transitions[-1][1] != version:
            self._transitions = [*self._transitions[1 - KEPT_TRANSITIONS :], (round(done, 4), version)]
        self._gap, self._last_good = max(self._gap, done - self._last_good), done
        self._max = max(self._max, done - due)
        self._latencies[_bucket(done - due)] += 1

    def count(self, *, seconds: float) -> Count:
        """Return the counts of a visit that lasted that long."""
        sent, answered = self._by_class.total(), sum(self._by_class[name] for name in ANSWERED)
        own = self._by_class["app_5xx"]
        return Count(
            seconds=round(seconds, 3),
            sent=sent,
            ok=answered,
            lost=sent - answered - own,
            app_5xx=own,
            by_class=dict(+self._by_class),
            by_version=dict(self._by_version),
            transitions=self._transitions,
            longest_gap_ms=round(max(self._gap, seconds - self._last_good) * 1000, 1),
            p50_ms=self._quantile(0.50),
            p99_ms=self._quantile(0.99),
            max_ms=round(self._max * 1000, 2) if answered else None,
            lag_ms=round(self.lag * 1000, 2),
            retried=self.retried,
            connections=self.connections,
        )

    def _quantile(self, share: float) -> float | None:
        rank, seen = math.ceil(share * self._latencies.total()), 0
        for bucket in sorted(self._latencies):
            seen += self._latencies[bucket]
            if seen >= rank:
                return round(min(math.exp(bucket * _STEP), self._max) * 1000, 2)
        return None


def _bucket(seconds: float) -> int:
    return math.ceil(math.log(max(seconds, 1e-6)) / _STEP)


def _is_lost(name: str) -> bool:
    return name not in (*ANSWERED, "app_5xx")
