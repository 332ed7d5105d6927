"""One meaning of "roll back": with several releases of a version, every surface means the same one of them, and says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.cli.rendering.change import moved_text
from deployctl.cli.rendering.release import history_table
from deployctl.domain.inputs.names import ReleaseName, Version, parse_release_name
from deployctl.errors import Invalid, NotFound, OnHold
from deployctl.usecases import views
from deployctl.usecases.change.hold import unhold
from deployctl.usecases.change.rollback import preview_rollback, rollback
from deployctl.usecases.change.rollback_target import choose_target
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.read_facts import observe
from deployctl.usecases.results import AppView, Moved
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.history import history
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from deployctl.usecases.view.versions import VersionsView, Way, versions
from deployctl_web.pages.parts.buttons import button_of
from tests.unit.cli_results import tty
from tests.unit.web_world import Site
from tests.unit.world import SHOP, V1, V2, World, world

YES = ChangeOptions(confirmed=True)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def changed(w: World) -> World:
    """v1 (release 1) serves again after its changed configuration (release 2) was rolled back; then v2 (release 3) came."""
    w.upgraded("v1")
    w.upgrade("v1", env={"MODE": "sale"})
    w.rollback()
    return w


def to(w: World, **named: int | Version) -> int | None:
    moved = rollback(SHOP, w.s, options=YES, **named)  # type: ignore[arg-type]
    return moved.target_release


def seen(w: World) -> tuple[AppView, VersionsView]:
    view = status(w.s, app=SHOP).apps[0]
    return view, versions(view, w.s)


# -- the choice -------------------------------------------------------------------------------------------------------
def test_a_changed_configuration_is_rolled_back_to_the_release_that_served_before(w: World) -> None:
    w.upgraded("v1")
    w.upgrade("v1", env={"MODE": "sale"})
    moved = w.rollback()
    assert (moved.source_release, moved.target_release, moved.names) == (2, 1, ("v1@2", "v1@1"))


@pytest.mark.parametrize("lifted", [False, True])
def test_the_version_alone_never_brings_back_the_configuration_that_was_rolled_back_from(changed: World, lifted: bool) -> None:
    changed.upgrade("v2")
    if lifted:
        changed.use(unhold, V1)
    assert choose_target(observe(SHOP, changed.s)).number == 1
    assert choose_target(observe(SHOP, changed.s), V1).number == 1
    assert to(changed, version=V1) == 1


def test_a_release_that_is_named_is_the_one_that_serves(changed: World) -> None:
    changed.upgrade("v2")
    changed.use(unhold, V1)
    assert to(changed, version=V1, release=2) == 2
    assert to(changed, release=1) == 1


@pytest.mark.parametrize(("version", "release", "error", "words"), [
    (V1, 9, NotFound, "shop has no release 9; v1 has v1@1, v1@2."),
    (V2, 1, NotFound, "release 1 of shop is v1; v2 has v2@3."),
    (None, 9, NotFound, "shop has no release 9."),
    (V1, 2, OnHold, "on hold"),
])  # fmt: skip
def test_a_release_that_cannot_be_meant_says_why(
    changed: World, version: Version | None, release: int, error: type[Exception], words: str
) -> None:
    changed.upgrade("v2")
    with pytest.raises(error, match=words):
        rollback(SHOP, changed.s, version=version, release=release, options=YES)


def test_the_version_that_serves_is_never_left_by_its_own_name_and_the_other_release_is_told(w: World) -> None:
    w.upgraded("v1")
    w.upgrade("v1", env={"MODE": "sale"})
    moved = w.rollback("v1")
    assert (moved.changed, moved.target_release) == (False, 2)
    assert moved_text(moved, tty(120))[1:] == [
        "  Its previous configuration is v1@1: deployctl rollback shop v1@1"]


# -- every surface ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lifted", [False, True])
def test_status_page_and_command_line_name_the_same_release(changed: World, lifted: bool) -> None:
    changed.upgrade("v2")
    if lifted:
        changed.use(unhold, V1)
    view, found = seen(changed)
    chosen = choose_target(observe(SHOP, changed.s))
    assert (view.rollback_release, view.rollback_name) == (chosen.number, "v1@1")
    line = found.at(view.rollback_release)
    assert line is not None
    assert found.find("v1") == line
    go = button_of(line, view, None, None)
    assert go is not None
    assert (go.verb, go.release, go.label) == ("rollback", 1, "Roll back to v1@1")


def test_what_comes_back_is_said_by_name_and_never_by_value(w: World) -> None:
    w.upgraded("v1")
    w.upgrade("v1", env={"DB_PASSWORD": "hunter2"})
    view, found = seen(w)
    assert view.rollback is not None
    assert view.rollback.brings_back == ("without DB_PASSWORD",)
    told = views.as_json(status(w.s, app=SHOP))["apps"][0]["rollback"]
    assert (told["version"], told["release"], told["name"], told["brings_back"]) == ("v1", 1, "v1@1", ["without DB_PASSWORD"])
    line = found.at(1)
    assert line is not None
    go = button_of(line, view, None, None)
    assert go is not None
    assert go.hint == "Under a second, can be undone. Restores: without DB_PASSWORD"
    preview = preview_rollback(SHOP, w.s)
    assert preview.restores[1] == "Restores of v1@1: without DB_PASSWORD."
    assert "v1@2 to v1@1" in next(step.sentence for step in preview.plan.steps if step.kind == "switch")
    assert "hunter2" not in json.dumps([told, go.hint, views.as_json(preview)])


def test_each_release_of_a_version_has_a_way_of_its_own(changed: World) -> None:
    changed.upgrade("v2")
    changed.use(unhold, V1)
    _, found = seen(changed)
    assert {line.release: (line.way, line.asks) for line in found.lines} == {
        3: (Way.SERVING, True), 1: (Way.BACK, False), 2: (Way.BACK, True)}


def test_what_is_on_hold_is_named_beside_another_release_of_the_version_that_serves(changed: World) -> None:
    view, _ = seen(changed)
    assert [note.line for note in view.notes] == ["shop: v1@2 is on hold (deployctl unhold shop v1)"]
    rows = history_table(history(SHOP, changed.s), tty(120)).rows
    assert [row[2] for row in rows] == ["rollback  v1@2 → v1@1", "upgrade   v1@1 → v1@2", "upgrade   v1"]
    shop = Site(changed)
    try:
        assert "v1@2 on hold" in " ".join(re.sub("<[^>]*>", "", shop.signed_in("mara").get("/apps/shop").text).split())
    finally:
        shop.web_state.close()


# -- names ------------------------------------------------------------------------------------------------------------
def test_a_release_name_is_read_and_written() -> None:
    assert parse_release_name("v1.2.0@5") == ReleaseName(Version("v1.2.0"), 5)
    assert str(parse_release_name("v1.2.0@5")) == "v1.2.0@5"
    assert parse_release_name("v1") == ReleaseName(Version("v1"))


@pytest.mark.parametrize("text", ["v1@", "v1@0", "v1@-1", "v1@1@2", "v1@x", "@1", "v1@1234567890", "v1@٣"])
def test_what_names_no_release_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_release_name(text)


def test_show_start_and_stop_take_a_release_too(changed: World) -> None:
    assert show(SHOP, V1, changed.s, release=1).release.number == 1
    assert show(SHOP, V1, changed.s, release=2).release.number == 2
    stop(SHOP, V1, changed.s, release=2, options=YES)
    assert not choose_running(changed) & {2}
    start(SHOP, V1, changed.s, release=2, options=YES)
    assert choose_running(changed) == {1, 2}


def choose_running(w: World) -> frozenset[int]:
    return frozenset(one.release for one in observe(SHOP, w.s).running)


def test_the_answer_tells_both_releases(w: World) -> None:
    moved: Moved = w.upgraded("v1", "v2").rollback()
    told = views.as_json(moved)
    assert (told["from"], told["from_release"], told["to"], told["to_release"]) == ("v2", 2, "v1", 1)
