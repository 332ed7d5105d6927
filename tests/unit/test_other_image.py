"""What has a release's name and was created from another image gets no traffic, is reported with a code, and is
recreated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.drift import DriftKind
from deployctl.domain.change.readiness import Code, How
from deployctl.domain.images.component import InstanceId
from deployctl.errors import ConfirmationNeeded, EngineRefused, NotHealthy
from deployctl.ports import ContainerFacts
from deployctl.usecases import views
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.results import AppView
from deployctl.usecases.view.readiness import find_readiness
from deployctl.usecases.view.status import status
from tests.unit.cli_world import shop
from tests.unit.world import SHOP, World, world

NIGHTLY = "sha256:" + "f" * 64


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby."""
    with world(tmp_path) as made:
        yield made.upgraded("v1", "v2")


def name_of(w: World, version: str) -> str:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert instance is not None
    return instance.name


def made_again(w: World, version: str) -> ContainerFacts:
    """Let another tool make it again with the nightly image."""
    return w.engine.remake(name_of(w, version), image=NIGHTLY)


def taken_for_it(w: World, version: str) -> None:
    """The same, and an earlier deployctl has written that container down."""
    w.ledger.set_instance(SHOP, InstanceId(w.release(version).number), container=made_again(w, version).id)


def image_of(w: World, version: str) -> str:
    found = w.engine.find_container(name_of(w, version))
    assert found is not None
    return found.image


def seen(w: World) -> AppView:
    return status(w.s, app=SHOP).apps[0]


@pytest.mark.parametrize("change", [made_again, taken_for_it])
def test_status_says_that_what_serves_is_not_the_release(w: World, change: object) -> None:
    change(w, "v2")  # type: ignore[operator]
    view = seen(w)
    [drift] = view.drifts
    assert (drift.kind, drift.release) == (DriftKind.OTHER_IMAGE, 2)
    assert "ffffffffffff instead of" in view.drift[0]
    assert view.active is not None
    assert (view.state, view.active.health) == ("down", "failing")
    assert "ffffffffffff is in its place" in view.active.probe_message
    assert views.as_json(view)["drifts"] == [{"code": "other_image", "release": 2, "summary": view.drift[0]}]


@pytest.mark.parametrize("change", [made_again, taken_for_it])
def test_reconcile_makes_what_serves_anew_from_its_own_image(w: World, change: object) -> None:
    change(w, "v2")  # type: ignore[operator]
    assert not reconcile(w.s).left
    assert image_of(w, "v2") == w.release("v2").digest
    assert (w.serving, w.running(), seen(w).drift) == ("v2", {"v1", "v2"}, ())


def test_what_cannot_be_made_anew_stays_and_is_told(w: World) -> None:
    made_again(w, "v2")
    w.engine.images.drop(w.release("v2").digest)
    assert DriftKind.OTHER_IMAGE in {line.kind for line in reconcile(w.s).left}
    assert image_of(w, "v2") == NIGHTLY


def test_a_route_that_was_lost_is_not_given_back_to_another_image(w: World) -> None:
    made_again(w, "v2")
    w.engine.images.drop(w.release("v2").digest)
    w.traffic.switch(SHOP, None)
    assert {line.kind for line in reconcile(w.s).left} > {DriftKind.OTHER_IMAGE, DriftKind.ROUTE}
    assert w.traffic.routes() == {}


@pytest.mark.parametrize("change", [made_again, taken_for_it])
def test_a_rollback_to_it_is_no_warm_one_and_serves_the_releases_own_image(w: World, change: object) -> None:
    change(w, "v1")  # type: ignore[operator]
    with pytest.raises(ConfirmationNeeded, match="created from a different image"):
        w.rollback(confirmed=False)
    assert (w.serving, image_of(w, "v1")) == ("v2", NIGHTLY)
    w.rollback()
    assert (w.serving, image_of(w, "v1")) == ("v1", w.release("v1").digest)


def test_an_upgrade_to_what_serves_under_a_false_image_makes_it_anew(w: World) -> None:
    made_again(w, "v2")
    assert w.upgrade("v2").changed
    assert (w.serving, image_of(w, "v2")) == ("v2", w.release("v2").digest)


def test_a_container_that_was_not_sealed_by_us_is_never_removed(w: World) -> None:
    labels = {key: text for key, text in w.engine.containers()[0].labels.items() if key != "deployctl.seal"}
    theirs = w.engine.remake(name_of(w, "v1"), image=NIGHTLY, labels=labels)
    with pytest.raises(EngineRefused, match="is not the expected one"):
        w.rollback()
    reconcile(w.s)
    assert w.serving == "v2"
    assert w.engine.find_container(theirs.id) == theirs


def test_readiness_says_it_with_a_code(w: World) -> None:
    taken_for_it(w, "v1")
    [found] = find_readiness(SHOP, w.s)
    assert (found.ready, found.how, found.code) == (True, How.BOOT, Code.OTHER_IMAGE)
    w.engine.images.drop(w.release("v1").digest)
    [found] = find_readiness(SHOP, w.s)
    assert (found.ready, found.code) == (False, Code.IMAGE_GONE)


def test_the_gate_refuses_a_container_that_was_made_again_while_it_was_on_trial(w: World) -> None:
    w.engine.executes = lambda container, command: pytest.fail("nobody is asked")
    report = w.told.begin

    def begin(step: object) -> None:
        report(step)  # type: ignore[arg-type]
        if getattr(step, "kind", None) == "health":
            w.engine.meddle(name_of(w, "v3"), image=NIGHTLY)

    w.told.begin = begin  # type: ignore[method-assign]
    with pytest.raises(NotHealthy, match="is made of the image ffffffffffff"):
        w.upgrade("v3")
    assert w.serving == "v2"


def test_with_the_engine_away_a_warm_release_goes_by_the_last_look_and_the_answer_says_so(w: World) -> None:
    assert w.rollback().image_checked
    w.engine.away = "it was stopped"
    moved = w.rollback("v1")
    assert (moved.changed, moved.image_checked) == (False, False)
    moved = w.undo()
    assert (w.serving, moved.image_checked) == ("v2", False)
    assert "was not checked" in moved.warnings[0]
    assert views.as_json(moved)["image_checked"] is False


def test_no_further_question_is_asked_on_the_warm_way(w: World) -> None:
    asked: list[str] = []
    w._health = lambda container, version: 200  # type: ignore[method-assign]  # which looks at the engine, too
    ask = w.engine.find_container

    def find(container: str) -> ContainerFacts | None:
        asked.append(container)
        return ask(container)

    w.engine.find_container = find  # type: ignore[method-assign]
    w.rollback(confirmed=False)
    assert asked == []


def test_a_rebuilt_ledger_takes_no_container_of_another_image(tmp_path: Path) -> None:
    with shop(tmp_path, "v1", "v2") as w:
        name = next(c.name for c in w.engine.containers() if c.labels["deployctl.version"] == "v2")
        w.engine.remake(name, image=NIGHTLY)
        said = w.deployctl("ledger", "rebuild", "--force", "-o", "json")
        assert (said.code, said.json["apps"][0]["serving"]) == (0, "v2")
        assert any("created from a different image (ffffffffffff)" in sentence for sentence in said.json["lost"])
        assert w.deployctl("status", "shop", "-o", "json").json["apps"][0]["drifts"][0]["code"] == "other_image"
        assert w.deployctl("reconcile", "shop").code == 0
        found = w.engine.find_container(name)
        assert found is not None
        assert found.image != NIGHTLY
        assert w.traffic.routes() == {SHOP: 2}


def test_emergency_flip_says_that_the_image_was_not_checked() -> None:
    from deployctl.cli.commands.emergency import _details
    from deployctl.domain.proxy.emergency import Flipped

    flipped = Flipped(SHOP, "v1", 1, "v2", 2, ms=1.0, started=False, warnings=())
    assert any("Not checked" in line for line in _details(flipped))
    assert any("Not checked" in line for line in _details(replace(flipped, started=True)))
