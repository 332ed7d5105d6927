"""A version that answers its visitors badly is named by `status`, from what `deployctl serve` has measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.ledger.metrics_store import SqliteMetricsStore
from deployctl.ports.metrics import Point
from tests.e2e.cli import Cli, home_of_a_person, wait_until
from tests.e2e.test_watcher import watching

SHOP = AppName("shop")


@pytest.fixture
def town(engine_url: str, images: None) -> Iterator[Cli]:
    with home_of_a_person(engine_url) as found:
        found.serving("shop")
        yield found


def test_a_version_that_fails_its_visitors_is_degraded_until_it_is_left(town: Cli) -> None:
    with watching(town) as serving:
        wait_until(lambda: len(points(town)) >= 2, within=40, what="the meter")
        for _ in range(60):
            town.get("shop")
        town.do("upgrade", "shop", "v2")
        assert town.app("shop")["state"] == "healthy"
        for number in range(40):
            town.get("shop", "/status?code=500" if number % 4 == 0 else "/version")
        wait_until(lambda: town.app("shop")["state"] == "degraded", within=40, what="degraded")
        sentence = "v2 fails 25.0 % of its requests in the last 5 minutes; v1 failed 0.0 %"
        assert town.app("shop")["quality"] == sentence
        said = town.text("status", "shop").out
        assert f"shop: {sentence}" in said
        assert "Roll back to v1: deployctl rollback shop" in said
        town.do("rollback", "shop")
        assert town.app("shop")["state"] == "healthy"
    assert "metrics" not in serving.said
    counted = points(town)
    assert sum(one.requests for one in counted) == 100
    assert sum(one.answers_5xx for one in counted if one.release == 2) == 10


def points(town: Cli) -> list[Point]:
    book = SqliteMetricsStore(town.home / "state" / "metrics.db", warn=pytest.fail)
    try:
        return book.points(SHOP)
    finally:
        book.close()
