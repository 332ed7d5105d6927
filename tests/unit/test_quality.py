"""When a release is called degraded for how it answers its visitors, and what `status` then says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.quality import WINDOW, Quality, is_degraded, may_be_degraded, quality_of, trouble_of
from deployctl.ledger.metrics_store import SqliteMetricsStore
from deployctl.ports.metrics import Point
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.results import AppView
from deployctl.usecases.view.health_now import find_trouble
from deployctl.usecases.view.status import status
from deployctl.usecases.views import as_json
from tests.unit import cli_world
from tests.unit.world import SHOP, World, world


# -- the judgement ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("requests", "failures", "former", "degraded"), [
    (1000, 83, (1000, 1), True),
    (1000, 10, (1000, 5), True),
    (1000, 10, (1000, 6), False),  # not twice as many
    (1000, 9, (1000, 0), False),  # less than 1 %
    (19, 19, (1000, 0), False),  # one visitor decides
    (20, 2, (1000, 0), False),  # two happen
    (20, 3, (1000, 0), True),
    (1000, 49, None, False),  # nobody served before: 5 %
    (1000, 50, None, True),
    (1000, 20, (19, 0), False),  # too few to compare with
    (1000, 50, (19, 0), True),
    (1000, 300, (1000, 200), False),  # it was as bad before: a rollback does not help
    (0, 0, (1000, 0), False),
])  # fmt: skip
def test_a_release_is_degraded_when_it_fails_far_more_than_the_one_before(
    requests: int, failures: int, former: tuple[int, int] | None, *, degraded: bool
) -> None:
    assert is_degraded(Quality(requests, failures), Quality(*former) if former else None) is degraded


@pytest.mark.parametrize("quality", [Quality(1000, 50), Quality(20, 3), Quality(100, 100)])
def test_whoever_is_degraded_was_worth_a_comparison(quality: Quality) -> None:
    assert is_degraded(quality, None) <= may_be_degraded(quality)


def test_failures_are_5xx_and_what_got_no_valid_answer_of_that_release_only() -> None:
    own = [Point(SHOP, 2, 10, 10, 30, answers_5xx=2, failed=1), Point(SHOP, 2, 20, 10, 20)]
    assert quality_of([*own, Point(SHOP, 1, 20, 10, 9, failed=9)], 2) == Quality(50, 3)


def test_a_share_is_never_more_than_all() -> None:
    assert Quality(3, 5).share == 1.0


def test_the_sentence_compares_when_there_is_something_to_compare_with() -> None:
    bad = ("v2", Quality(1000, 83))
    assert trouble_of(bad, ("v1", Quality(1000, 1))).sentence == (
        "v2 fails 8.3 % of its requests in the last 5 minutes; v1 failed 0.1 %")
    assert trouble_of(bad, ("v1", Quality(90_000, 1))).sentence.endswith("v1 failed <0.1 %")
    assert trouble_of(bad, ("v1", Quality(5, 0))).sentence == trouble_of(bad, None).sentence == (
        "v2 fails 8.3 % of its requests in the last 5 minutes")


# -- in status ------------------------------------------------------------------------------------------------------
@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v1 served for ten minutes, v2 serves since five."""
    with world(tmp_path) as made:
        made.upgrade("v1")
        answer(made, 1, 600)
        made.upgrade("v2")
        yield made


def unix(w: World) -> int:
    return int(datetime.fromisoformat(w.clock.utc()).timestamp()) // 10 * 10


def answer(w: World, release: int, seconds: int, *, requests: int = 100, **counts: Any) -> None:
    """Let so much time pass, in which that release answers so many requests every ten seconds."""
    for _ in range(seconds // 10):
        w.clock.sleep(10)
        w.meter.add([Point(SHOP, release, unix(w), 10, requests, **counts)])


def shop(w: World) -> AppView:
    return status(w.s, app=SHOP).apps[0]


SENTENCE = "v2 fails 8.0 % of its requests in the last 5 minutes; v1 failed 0.0 %"


def test_a_release_that_answers_as_well_as_before_is_healthy(w: World) -> None:
    answer(w, 2, 300)
    assert (shop(w).state, shop(w).quality, shop(w).notes) == ("healthy", None, ())


def test_a_release_that_fails_is_degraded_and_the_way_back_is_known(w: World) -> None:
    answer(w, 2, 300, answers_5xx=6, failed=2)
    view = shop(w)
    assert (view.state, view.quality, [note.line for note in view.notes]) == ("degraded", SENTENCE, [f"shop: {SENTENCE}"])
    assert [(note.code, note.version, note.release) for note in view.notes] == [("live_fails_requests", "v2", 2)]
    assert (view.rollback_name, view.rollback and view.rollback.warm) == ("v1", True)
    listed = status(w.s).apps[0]
    assert (listed.state, listed.rollback_name) == ("degraded", "v1")
    assert as_json(view)["quality"] == SENTENCE


def test_after_going_back_all_is_well(w: World) -> None:
    answer(w, 2, 300, answers_5xx=8)
    w.rollback()
    answer(w, 1, 60)
    assert shop(w).state == "healthy"


def test_failures_of_more_than_five_minutes_ago_are_forgotten(w: World) -> None:
    answer(w, 2, 60, answers_5xx=50)
    answer(w, 2, WINDOW)
    assert shop(w).state == "healthy"


def test_who_served_before_is_judged_by_its_last_minutes_with_visitors(w: World) -> None:
    """v1 failed long ago, then well, then had a quiet hour before v2 took over, and a tester asks v1 since."""
    w.rollback()
    answer(w, 1, 300, answers_5xx=20)
    answer(w, 1, 300)
    answer(w, 1, 3600, requests=0)
    w.upgrade("v3")
    w.clock.sleep(10)
    answer(w, 1, 100, failed=100)
    answer(w, 3, 300, answers_5xx=8)
    assert shop(w).quality == "v3 fails 8.0 % of its requests in the last 5 minutes; v1 failed 0.0 %"


def test_the_first_version_of_all_is_judged_by_itself(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgrade("v1")
        answer(w, 1, 100, answers_5xx=4)
        assert shop(w).state == "healthy"
        answer(w, 1, 200, answers_5xx=8)
        assert shop(w).quality == "v1 fails 6.7 % of its requests in the last 5 minutes"


def test_an_app_that_comes_again_is_not_judged_by_the_one_that_was_removed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgrade("v1")
        answer(w, 1, 100, failed=50)
        w.use(remove_app)
        w.upgrade("v1")
        assert shop(w).state == "healthy"


def test_a_worse_state_is_not_made_better(w: World) -> None:
    answer(w, 2, 300, answers_5xx=8)
    w.sick["v2"] = "connection refused"
    assert (shop(w).state, shop(w).quality) == ("down", None)


def test_without_points_status_only_looks_whether_there_are_any(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    book = SqliteMetricsStore(w.home / "metrics.db", warn=pytest.fail)
    asked, stat = list[object](), os.stat

    def counted(path: Any, **more: Any) -> os.stat_result:
        asked.append(path)
        return stat(path, **more)

    monkeypatch.setattr(w, "meter", book)
    s, changes = w.s, w.ledger.telling_changes(SHOP)
    monkeypatch.setattr(os, "stat", counted)
    assert find_trouble(AppName(SHOP), 2, "v2", changes, s) is None
    assert asked == [w.home / "metrics.db"]


def test_the_command_line_says_what_is_wrong_and_what_to_type(tmp_path: Path) -> None:
    with cli_world.shop(tmp_path, "v1", "v2") as w:
        at = int(datetime.fromisoformat(w.clock.utc()).timestamp()) // 10 * 10
        w.meter.add([Point(SHOP, 2, at, 10, 100, answers_5xx=8)])
        said = w.deployctl("status", "shop")
        assert "degraded" in said.out
        sentence = "shop: v2 fails 8.0 % of its requests in the last 5 minutes"
        assert f"{sentence}\n  Roll back to v1: deployctl rollback shop" in said.out
        assert w.deployctl("status", "-o", "json").json["apps"][0]["quality"].startswith("v2 fails 8.0 %")
