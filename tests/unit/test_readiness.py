"""Whether a release can be rolled back to is reported with its reason, and it is what `rollback` then finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.readiness import Code, How, Readiness, Standing, judge
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.release import Bundle, Hold, Instance, Probe, ProbeKind, Release
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Counters, Recent
from deployctl.errors import DeployctlError
from deployctl.testing.fake_prober import Reply
from deployctl.usecases import views
from deployctl.usecases.change.hold import hold
from deployctl.usecases.change.stop import stop
from deployctl.usecases.results import AppView
from deployctl.usecases.view.history import history
from deployctl.usecases.view.readiness import check_readiness, find_readiness
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, V1, World, world

DIGEST = "sha256:" + "4be07d52" * 8
BUNDLE = Bundle(image="acme/shop:v1", digest=DIGEST, port=8080)
RELEASE = Release(1, AppName("shop"), 1, Version("v1"), (Component(BUNDLE),), "2026-01-01T00:00:00Z",
                  proven_at="2026-01-01T00:01:00Z")
INSTANCE = Instance(AppName("shop"), 1, "shop--v1", "172.30.0.2", 20001, "c" * 64)
ROUTED = replace(INSTANCE, routed=True)
WARM = Standing(RELEASE, ROUTED, present=True, running=True, answered=True, image=None, network=True)
STOPPED = Standing(RELEASE, INSTANCE, present=True, network=True, port_taken=False, boot_seconds=6.2)
AWAY = "Docker is not responding."


def release(**changes: object) -> Release:
    return replace(RELEASE, **changes)  # type: ignore[arg-type]  # the fields of a dataclass


def bundle(**changes: object) -> Release:
    return release(components=(Component(replace(BUNDLE, **changes)),))  # type: ignore[arg-type]


INSIDE = bundle(probe=Probe(kind=ProbeKind.EXEC, command=("true",)))
HELD = release(hold=Hold("2026-02-02T00:00:00Z", "mara (cli)", "totals wrong"))
PULLABLE = bundle(repo_digest="acme/shop@" + DIGEST)


# -- the decision -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("standing", "how", "seconds"), [
    (WARM, How.WARM, 0.0),
    (replace(WARM, answered=None), How.WARM, 0.0),
    (replace(WARM, answered=None, engine_away=AWAY), How.WARM, 0.0),
    (STOPPED, How.BOOT, 6.2),
    (replace(STOPPED, boot_seconds=None), How.BOOT, None),
    (replace(STOPPED, image=False), How.BOOT, 6.2),
    (replace(STOPPED, running=True), How.BOOT, 6.2),
    (replace(STOPPED, present=False, instance=None, image=True), How.BOOT, 6.2),
    (replace(STOPPED, present=False, image=None), How.BOOT, 6.2),
    (replace(STOPPED, present=False, image=True, network=False), How.BOOT, 6.2),
    (replace(STOPPED, release=PULLABLE, present=False, image=False), How.PULL, None),
    (replace(STOPPED, instance=replace(INSTANCE, failed=True), image=True, port_taken=True), How.BOOT, 6.2),
])
def test_what_can_be_rolled_back_to_says_how_and_how_long(standing: Standing, how: How, seconds: float | None) -> None:
    found = judge(standing)
    assert (found.ready, found.how, found.seconds) == (True, how, seconds)


@pytest.mark.parametrize(("standing", "why"), [
    (replace(WARM, release=release(proven_at=None)), "never passed its health check"),
    (replace(WARM, release=HELD), "on hold since 2026-02-02T00:00:00Z by mara (cli): totals wrong"),
    (replace(WARM, answered=False, message="GET / gave 500"), "does not pass its health check: GET / gave 500"),
    (replace(WARM, unanswered=12), "none of 12 requests to it in the last minute got an answer"),
    (replace(WARM, at_home=False), "not at 172.30.0.2: someone reconnected it"),
    (replace(WARM, release=INSIDE, answered=None, engine_away=AWAY),
     "its health check needs Docker. Docker is not responding."),
    (replace(STOPPED, engine_away=AWAY), "has to be started. Docker is not responding."),
    (replace(STOPPED, running=True, at_home=False), "someone reconnected it"),
    (replace(STOPPED, present=False, image=False), "image (4be07d524be0) is no longer on this server"),
    (replace(STOPPED, port_taken=True, image=False), "image (4be07d524be0) is no longer on this server"),
])
def test_what_cannot_be_rolled_back_to_says_why(standing: Standing, why: str) -> None:
    found = judge(standing)
    assert (found.ready, found.how, found.seconds) == (False, None, None)
    assert why in (found.why or "")


@pytest.mark.parametrize(("standing", "code"), [
    (replace(STOPPED, port_taken=True, image=True), Code.PORT_TAKEN),
    (replace(STOPPED, network=False, image=True), Code.NETWORK_GONE),
    (replace(STOPPED, present=False, other_image=True, image=True), Code.OTHER_IMAGE),
])
def test_what_is_made_anew_on_the_way_can_be_rolled_back_to_and_says_so(standing: Standing, code: Code) -> None:
    found = judge(standing)
    assert (found.ready, found.how, found.code) == (True, How.BOOT, code)
    assert found.why


def test_what_must_be_pulled_or_failed_last_says_so_although_it_is_ready() -> None:
    assert judge(replace(STOPPED, release=PULLABLE, present=False, image=False)).why
    assert "failed when it was last deployed: exit 1" in (judge(replace(WARM, release=release(failure="exit 1"))).why or "")
    assert judge(WARM).why is None


# -- gathered from a home -----------------------------------------------------------------------------------------------
@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made.upgraded("v1", "v2", "v3")


def test_one_that_answered_no_visitor_of_the_last_minute_is_not_ready(w: World) -> None:
    w.traffic.count(SHOP, 2, Counters(requests=10, failed=10, recent=Recent(0, 10)))
    w.traffic.count(SHOP, 1, Counters(requests=10, failed=10, recent=Recent(0, 10)))
    found = told(w)
    assert (found["v2"].ready, found["v2"].code) == (False, Code.NONE_ANSWERED)
    assert found["v1"].ready, "it boots anew"
    w.traffic.die()
    assert told(w)["v2"].ready, "without HAProxy only the probe has a word"


def told(w: World) -> dict[str, Readiness]:
    return {one.version: one for one in find_readiness(SHOP, w.s)}


def shop(w: World) -> AppView:
    return status(w.s, app=SHOP).apps[0]


def test_every_kept_release_but_the_one_that_serves_is_told(w: World) -> None:
    found = told(w)
    assert {version: one.how for version, one in found.items()} == {"v2": How.WARM, "v1": How.BOOT}
    assert found["v1"].seconds is not None


def test_status_history_and_show_tell_the_same(w: World) -> None:
    expected = views.as_json(told(w)["v1"])
    view = shop(w)
    by_version = {i.version: i.readiness for i in view.instances}
    assert views.as_json(by_version["v1"]) == expected
    assert by_version["v3"] is None
    listed = views.as_json(history(SHOP, w.s))["releases"]
    assert {one["version"]: one["readiness"] for one in listed}["v1"] == expected
    assert views.as_json(show(SHOP, V1, w.s))["readiness"] == expected


def test_a_list_of_apps_asks_neither_for_images_nor_for_networks(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise AssertionError(words)

    monkeypatch.setattr(w.engine, "find_image", refuse)
    monkeypatch.setattr(w.engine, "networks", refuse)
    (view,) = status(w.s).apps
    assert {i.version: i.readiness.how for i in view.instances if i.readiness} == {"v2": How.WARM, "v1": How.BOOT}


def test_the_way_back_is_the_version_that_rollback_goes_to_and_how(w: World) -> None:
    view = shop(w)
    assert (view.rollback_name, view.rollback and view.rollback.readiness.how) == ("v2", How.WARM)
    w.use(stop, Version("v2"))
    view = shop(w)
    assert (view.rollback_name, view.rollback and view.rollback.readiness.how) == ("v2", How.BOOT)
    assert w.rollback().target == "v2"


@pytest.mark.parametrize("harm", ["sick", "image"])
def test_what_is_told_to_be_impossible_is_refused(w: World, harm: str) -> None:
    if harm == "sick":
        w.sick["v2"] = 500
    else:
        _lose_image(w, "v2")
    ready = (back := shop(w).rollback) and back.readiness
    assert (ready and ready.version, ready and ready.ready) == ("v2", False)
    with pytest.raises(DeployctlError):
        w.rollback()
    assert w.serving == "v3"


def _lose_image(w: World, version: str) -> None:
    w.use(stop, Version(version))
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert instance is not None
    w.engine.ensure_removed(instance.container or "")
    w.engine.images.drop(w.release(version).digest)


def test_a_container_that_was_removed_is_made_again_from_its_image(w: World) -> None:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release("v1").number))
    assert instance is not None
    w.engine.ensure_removed(instance.container or "")
    assert told(w)["v1"].how is How.BOOT
    assert w.rollback("v1").target == "v1"


def test_a_port_that_a_stranger_took_is_told(w: World) -> None:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release("v1").number))
    assert instance is not None
    w.guard.taken.add(("127.0.0.1", instance.host_port or 0))
    assert f"another program listens on its port 127.0.0.1:{instance.host_port}" in (told(w)["v1"].why or "")


def test_with_docker_away_only_what_runs_can_be_rolled_back_to(w: World) -> None:
    w.engine.away = "Docker is not responding."
    found = told(w)
    assert (found["v2"].ready, found["v1"].ready) == (True, False)


# -- turns ----------------------------------------------------------------------------------------------------------------
def turns(w: World) -> list[str]:
    return [event["text"] for event in reversed(w.ledger.events(SHOP)) if event["kind"] == "readiness"]


def test_a_release_that_turns_bad_is_an_event_once_and_once_when_it_is_well_again(w: World) -> None:
    check_readiness(SHOP, w.s)
    assert turns(w) == []
    w.sick["v2"] = 500
    for _ in range(3):
        assert [one.ready for one in check_readiness(SHOP, w.s)] == [False, True]
    assert len(turns(w)) == 1
    assert "cannot be rolled back to v2: it is running but does not pass its health check" in turns(w)[0]
    del w.sick["v2"]
    for _ in range(2):
        check_readiness(SHOP, w.s)
    assert turns(w)[1:] == ["shop can be rolled back to v2 again"]


def test_neither_a_hold_nor_an_absent_engine_is_a_turn(w: World) -> None:
    w.use(hold, Version("v2"))
    check_readiness(SHOP, w.s)
    w.engine.away = "Docker is not responding."
    check_readiness(SHOP, w.s)
    assert turns(w) == []


def test_while_somebody_changes_the_app_nothing_is_written(w: World) -> None:
    w.sick["v2"] = 500
    w.ledger.take_lease(SHOP, holder="x", verb="upgrade", at=w.clock.utc())
    assert not check_readiness(SHOP, w.s)[0].ready
    assert turns(w) == []


def test_one_bad_answer_is_not_yet_a_turn(w: World) -> None:
    answers: Iterator[Reply] = iter([500])
    w.prober.script = lambda asked: next(answers, 200)
    check_readiness(SHOP, w.s)
    assert turns(w) == []
