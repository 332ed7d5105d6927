"""What every book of points promises, in memory and on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.ledger.metrics_store import SqliteMetricsStore
from deployctl.ports.metrics import MetricsStore, Point
from deployctl.testing.fake_metrics import FakeMetrics

SHOP, BLOG = AppName("shop"), AppName("blog")


@pytest.fixture(params=["fake", "sqlite"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetricsStore]:
    made = FakeMetrics() if request.param == "fake" else SqliteMetricsStore(tmp_path / "metrics.db", warn=pytest.fail)
    yield made
    made.close()


def point(at: int, *, app: AppName = SHOP, release: int = 1, requests: int = 5) -> Point:
    return Point(app, release, at, 10, requests, answers_2xx=requests, response_ms=4.5 if requests else None)


def test_a_book_begins_empty(book: MetricsStore) -> None:
    assert book.points(SHOP) == []
    assert book.busy(SHOP, 1, until=10**10, seconds=300) == []
    book.forget(before=10**10)
    book.add([])
    assert book.points(SHOP) == []


def test_points_come_back_as_they_were_oldest_first(book: MetricsStore) -> None:
    all_counts = Point(SHOP, 2, 1000, 10, 60, 10, 11, 12, 13, 14, 3.5)
    book.add([point(1010), all_counts, point(1000), point(1000, app=BLOG)])
    assert book.points(SHOP) == [point(1000), all_counts, point(1010)]


def test_only_what_ended_later_is_asked_for(book: MetricsStore) -> None:
    book.add([point(1000), point(1010)])
    assert [p.at for p in book.points(SHOP, since=999.5)] == [1000, 1010]
    assert [p.at for p in book.points(SHOP, since=1000)] == [1010]


def test_of_the_same_moment_the_last_point_counts(book: MetricsStore) -> None:
    book.add([point(1000)])
    book.add([point(1000, requests=9)])
    assert book.points(SHOP) == [point(1000, requests=9)]


def test_the_newest_points_with_requests_are_found_over_a_pause(book: MetricsStore) -> None:
    book.add([point(at) for at in range(1000, 1100, 10)])
    book.add([point(at, requests=0) for at in range(1100, 1200, 10)])
    book.add([point(1110, release=2), point(1300)])
    assert [p.at for p in book.busy(SHOP, 1, until=1200, seconds=30)] == [1070, 1080, 1090]
    assert [p.at for p in book.busy(SHOP, 1, until=1300, seconds=20)] == [1090, 1300]
    assert book.busy(SHOP, 3, until=1300, seconds=20) == []


def test_coarse_points_count_for_all_their_seconds(book: MetricsStore) -> None:
    book.add([replace(point(at), seconds=60) for at in range(600, 1260, 60)])
    assert [p.at for p in book.busy(SHOP, 1, until=1200, seconds=180)] == [1080, 1140, 1200]


def test_what_is_forgotten_is_gone(book: MetricsStore) -> None:
    book.add([point(1000), point(1010)])
    book.forget(before=1010)
    assert book.points(SHOP) == [point(1010)]


def test_an_app_that_is_forgotten_leaves_the_others(book: MetricsStore) -> None:
    book.forget_app(SHOP)
    book.add([point(1000), point(1010), point(1000, app=BLOG)])
    book.forget_app(SHOP)
    assert (book.points(SHOP), book.points(BLOG)) == ([], [point(1000, app=BLOG)])


def test_it_goes_on_after_it_was_closed(book: MetricsStore) -> None:
    book.add([point(1000)])
    book.close()
    book.add([point(1010)])
    assert len(book.points(SHOP)) == 2
