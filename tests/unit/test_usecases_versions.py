"""What a person chooses among: each release with its state, what can be done with it, what was live when, what is in
progress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.plan import Step, StepKind
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import NotHealthy
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.redaction import HIDDEN, shown
from deployctl.usecases.view.activity import recent
from deployctl.usecases.view.in_progress import find_failure, find_in_progress, parts_of
from deployctl.usecases.view.serving_periods import cut, find_periods
from deployctl.usecases.view.status import status
from deployctl.usecases.view.versions import VersionLine, Way, find_idle, versions
from tests.unit.world import SHOP, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def lines(w: World, *, limit: int = 20) -> dict[str, VersionLine]:
    view = status(w.s, app=SHOP).apps[0]
    return {line.version: line for line in versions(view, w.s, idle=find_idle(SHOP, w.s), limit=limit).lines}


# -- versions -----------------------------------------------------------------------------------------------------------
def test_live_and_standby_stand_first_then_the_newest(w: World) -> None:
    w.upgraded("v1", "v2", "v3", "v4").rollback("v2")
    view = status(w.s, app=SHOP).apps[0]
    found = versions(view, w.s).lines
    assert [line.version for line in found] == ["v2", "v4", "v3", "v1"]
    assert (found[0].state, found[0].more, found[0].way) == ("Live on blue", "100 % of the traffic", Way.SERVING)


def test_the_version_that_served_before_is_one_click_away_and_older_ones_are_asked_for(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    found = lines(w)
    assert (found["v2"].state, found["v2"].more) == ("Standby on green", "Warm, switches at once")
    assert (found["v2"].way, found["v2"].asks) == (Way.BACK, False)
    assert (found["v1"].state, found["v1"].way, found["v1"].asks) == ("Image kept", Way.BACK, True)
    assert found["v1"].more.startswith("Starts in about ")


def test_what_was_rolled_back_is_on_hold_and_goes_forth_once_that_is_lifted(w: World) -> None:
    w.upgraded("v1", "v2").rollback(note="checkout 500s")
    held = lines(w)["v2"]
    assert (held.state, held.way) == ("On hold", Way.HELD)
    assert held.hold is not None
    assert held.hold.reason == "checkout 500s"
    w.use(unhold, Version("v2"))
    assert (lines(w)["v2"].way, lines(w)["v2"].asks) == (Way.FORTH, False)


def test_one_that_never_went_live_says_why_and_can_be_tried_again(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    failed = lines(w)["v2"]
    assert (failed.state, failed.way) == ("Never went live", Way.RETRY)
    assert "503" in failed.more


def test_a_removed_image_is_named_as_such(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    instance = w.ledger.find_instance(SHOP, InstanceId(1))
    assert instance is not None
    w.engine.ensure_removed(instance.container or "")
    w.ledger.remove_instance(SHOP, InstanceId(1))
    w.engine.images.drop(w.release("v1").digest)
    line = lines(w)["v1"]
    assert (line.state, line.way) == ("Image removed", Way.NONE)
    assert "no registry is known to have it" in line.why


def test_of_a_version_with_several_releases_the_name_means_one(w: World) -> None:
    w.upgraded("v1", "v2")
    w.edit(env={"A": "1"})
    w.upgrade("v1")
    view = status(w.s, app=SHOP).apps[0]
    mine = [line for line in versions(view, w.s).lines if line.version == "v1"]
    assert [(line.release, line.name, line.way) for line in mine] == [(3, "v1@3", Way.SERVING), (1, "v1@1", Way.BACK)]
    assert mine[1].siblings == 1


def test_the_list_is_bounded_and_still_has_what_runs(w: World) -> None:
    w.upgraded("v1", "v2", "v3", "v4", "v5")
    w.rollback("v1")
    view = status(w.s, app=SHOP).apps[0]
    found = versions(view, w.s, limit=2)
    assert found.left_out
    assert found.lines[0].version == "v1"


# -- who served when ----------------------------------------------------------------------------------------------------
def change(revision: int, target: int | None, at: str) -> Change:
    return Change(revision, SHOP, "upgrade", None, target, at, "mara (cli)")


def test_changes_become_spans_that_fill_the_window() -> None:
    made = [change(3, 1, "2026-01-06T00:00:00.000Z"), change(2, 2, "2026-01-04T00:00:00.000Z"),
            change(1, 1, "2025-12-01T00:00:00.000Z")]
    spans = cut(made, "2026-01-01T00:00:00.000Z", "2026-01-08T00:00:00.000Z")
    assert [one.release for one in spans] == [1, 2, 1]
    assert spans[0].left == 0.0
    assert abs(sum(one.width for one in spans) - 1) < 0.001
    assert spans[-1].end is None


def test_a_clock_that_went_back_gives_no_span_of_negative_length() -> None:
    made = [change(2, 2, "2026-01-03T00:00:00.000Z"), change(1, 1, "2026-01-05T00:00:00.000Z")]
    spans = cut(made, "2026-01-01T00:00:00.000Z", "2026-01-08T00:00:00.000Z")
    assert all(one.width >= 0 for one in spans)
    assert spans[-1].release == 2


def test_what_ended_before_the_window_is_left_out_and_nobody_is_a_span_too() -> None:
    made = [change(3, 2, "2026-01-07T00:00:00.000Z"), change(2, None, "2026-01-06T00:00:00.000Z"),
            change(1, 1, "2026-01-01T00:00:00.000Z")]
    spans = cut(made, "2026-01-06T12:00:00.000Z", "2026-01-08T00:00:00.000Z")
    assert [one.release for one in spans] == [None, 2]


def test_periods_carry_the_version_and_its_colour(w: World) -> None:
    w.upgraded("v1", "v2")
    spans = find_periods(SHOP, w.s)
    assert [(one.version, one.colour) for one in spans][-1] == ("v2", "green")


# -- in progress ---------------------------------------------------------------------------------------------------------
STEPS = (Step(StepKind.IMAGE, 2, "keep image"), Step(StepKind.START, 2, "start v2"), Step(StepKind.HEALTH, 2, "prove v2"),
         Step(StepKind.ROUTE, 2, "add v2"), Step(StepKind.SWITCH, 2, "switch"), Step(StepKind.WATCH, 2, "watch"),
         Step(StepKind.PROMOTE, 2, "v2 is active"))


def row(step: Step, *, finished: bool = True, ok: bool = True) -> dict[str, object]:
    return {"kind": step.kind, "release": step.release, "finished_at": "x" if finished else None, "ok": ok,
            "ms": 1200.0 if finished else None, "text": step.sentence if finished else None}


def test_the_parts_of_a_deployment_tell_what_is_done_what_is_under_way_and_what_comes() -> None:
    taken = [row(STEPS[0]), row(STEPS[1]), row(STEPS[2], finished=False)]
    found = parts_of(STEPS, taken)
    assert [(part.name, part.state) for part in found] == [
        ("Image", "done"), ("Start", "done"), ("Health", "now"), ("Switch", "to_come"), ("Watch", "to_come")]
    assert (found[1].ms, found[2].sentence) == (1200.0, "prove v2")
    assert parts_of(STEPS, [])[0].state == "now"
    assert parts_of(STEPS, [row(STEPS[0], ok=False)])[0].state == "failed"


def test_nothing_is_under_way_when_nobody_is_at_it_and_a_lease_alone_is_told(w: World) -> None:
    w.upgraded("v1")
    assert find_in_progress(SHOP, w.s) is None
    token = w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at=w.clock.utc())
    found = find_in_progress(SHOP, w.s)
    assert found is not None
    assert (found.verb, found.by, found.deployment) == ("upgrade", "jonas (cli)", None)
    assert isinstance(token, int)
    w.ledger.give_lease_back(SHOP, token)


def test_the_last_failure_is_told_until_the_traffic_moves(w: World) -> None:
    w.upgraded("v1")
    assert find_failure(SHOP, w.s) is None
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    found = find_failure(SHOP, w.s)
    assert found is not None
    assert (found.version, found.switched, found.stuck) == ("v2", False, False)
    assert "503" in found.why
    w.clock.sleep(5)
    w.upgrade("v3")
    assert find_failure(SHOP, w.s) is None


# -- the last deeds -----------------------------------------------------------------------------------------------------
def test_moves_failures_and_holds_are_told_in_the_order_of_time(w: World) -> None:
    w.upgraded("v1", "v2").rollback(note="checkout 500s")
    w.clock.sleep(1)
    w.sick["v3"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v3")
    w.clock.sleep(1)
    w.use(hold, Version("v1"))
    told = [f"{d.before}{d.version}{d.after}" for d in recent(SHOP, w.s)]
    assert told == ["v1 was put on hold", "v3 stopped before going live", "Rolled back to v1", "v2 took the traffic",
                    "v1 took the traffic"]
    assert recent(SHOP, w.s)[2].note == "checkout 500s"
    assert len(recent(SHOP, w.s, limit=2)) == 2


def test_an_app_that_nobody_knows_has_no_deeds(w: World) -> None:
    assert recent(AppName("blog"), w.s) == ()


# -- variables ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "value"), [
    ("DB_PASSWORD", "x"), ("API_KEY", "1"), ("SESSION_SECRET", "a"), ("GITHUB_TOKEN", "a"), ("DATABASE_DSN", "a"),
    ("DATABASE_URL", "postgres://shop:hunter2@db/shop"), ("CONF", "password=hunter2"), ("BLOB", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5"),
    ("PEM", "-----BEGIN PRIVATE KEY-----"), ("redis.auth", "x"), ("PASSPHRASE", "x")])
def test_what_may_be_a_secret_is_never_shown(name: str, value: str) -> None:
    assert shown(name, value) == HIDDEN


@pytest.mark.parametrize(("name", "value"), [("WORKERS", "6"), ("MODE", "shop"), ("DATABASE_URL", "postgres://db/shop"),
                                             ("KEYBOARD", "de"), ("FEATURE_CHECKOUT", "new")])
def test_what_is_plain_is_shown(name: str, value: str) -> None:
    assert shown(name, value) == value
    assert len(shown(name, "a " * 500)) <= 201


def test_a_line_is_found_by_what_its_version_means(w: World) -> None:
    w.upgraded("v1", "v2")
    view = versions(status(w.s, app=SHOP).apps[0], w.s)
    found = view.find("v1")
    assert found is not None
    assert replace(found, version="v1").release == 1
    assert view.find("v9") is None
