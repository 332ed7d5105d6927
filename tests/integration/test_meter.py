"""What is measured at a real HAProxy: no request is lost or counted twice by a reload or a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.ports import Services
from deployctl.watch.sampler import MetricsSampler
from tests.proxies import SHOP, Proxy, end, proxy
from tests.support import free_port
from tests.unit.world import World, world

pytestmark = pytest.mark.integration


@dataclass
class Measured:
    """Release 1 of the shop serves; time passes only when the test says so."""

    w: World
    proxy: Proxy
    traffic: HaproxyTraffic
    s: Services
    meter: MetricsSampler

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.w.clock.sleep(1)
            self.meter.tick(self.s)

    def visit(self, *paths: str) -> None:
        for path in paths:
            self.proxy.ask(SHOP, path)

    def points(self) -> list[tuple[int, int, int, int]]:
        return [(p.release, p.requests, p.answers_2xx, p.answers_5xx) for p in self.w.meter.points(SHOP) if p.requests]


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    with world(tmp_path) as w, proxy() as found:
        traffic = found.traffic()
        traffic.switch(SHOP, 1)
        s = replace(w.s, traffic=traffic)
        yield Measured(w, found, traffic, s, MetricsSampler(lambda: s))


def _reload(found: Measured) -> None:
    found.proxy.ledger.listen(SHOP, free_port())  # another address is the one thing that HAProxy must reload for
    found.traffic.sync()


def _restart(found: Measured) -> None:
    end(found.proxy.home)
    found.traffic.ensure_up()


@pytest.mark.parametrize("befall", [_reload, _restart])
def test_counts_survive_another_worker(measured: Measured, befall: Callable[[Measured], None]) -> None:
    measured.pass_time(20)
    measured.visit(*["/"] * 6, "/fail")
    measured.pass_time(10)
    befall(measured)
    measured.visit("/", "/fail")
    measured.pass_time(10)
    measured.visit("/")
    measured.pass_time(10)
    assert measured.points() == [(1, 7, 6, 1), (1, 2, 1, 1), (1, 1, 1, 0)]
    assert measured.meter.totals()[SHOP, 1].requests == 10


def test_each_release_is_measured_by_itself_over_a_switch(measured: Measured) -> None:
    measured.pass_time(20)
    measured.visit("/", "/")
    measured.traffic.switch(SHOP, 2)
    measured.visit("/fail", "/fail", "/fail")
    measured.pass_time(10)
    assert measured.points() == [(1, 2, 2, 0), (2, 3, 0, 3)]
    assert measured.meter.latest(SHOP)[2].response_ms is not None
    measured.pass_time(10)
    assert {p.release for p in measured.w.meter.points(SHOP)[-1:]} == {2}
