"""The card of the demo ticks what was really done, and no other home has one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName
from deployctl_web.pages.parts.first_steps import first_steps, tries
from tests.unit.web_world import site
from tests.unit.world import SHOP, world

DEMO = ServerSpec(labels=(("deployctl.demo", "1"),))


def change(revision: int, kind: str, actor: str) -> Change:
    return Change(revision, AppName("demo"), kind, 1, 2, "2026-11-27T22:00:00.000Z", actor)


def ticks(*changes: Change, repaired: bool = False) -> list[bool]:
    return [one.done for one in tries(AppName("demo"), sorted(changes, key=lambda c: -c.revision), repaired=repaired)]


def test_what_the_demo_itself_typed_is_no_tick() -> None:
    assert ticks(change(3, "rollback", "root (cli)"), change(4, "undo", "root (cli)")) == [False] * 4


def test_each_line_is_ticked_by_its_own_deed() -> None:
    by_click = change(5, "rollback", "demo (web)")
    assert ticks(by_click) == [True, False, False, False]
    assert ticks(by_click, change(6, "undo", "demo (web)")) == [True, True, False, False]
    assert ticks(by_click, change(6, "rollback", "root (cli)")) == [True, False, False, True]
    assert ticks(by_click, repaired=True) == [True, False, True, False]


def test_only_a_demo_has_the_card(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1", "v2")
        assert first_steps(SHOP, w.s) == ()
        assert [one.done for one in first_steps(SHOP, replace(w.s, spec=DEMO))] == [False] * 4


def test_the_page_of_a_demo_offers_to_deploy_the_mended_version(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("shop", "demo")]
    for home in homes:
        home.mkdir()
    with site(homes[0], "v1", "v2") as shop, site(homes[1], "v1", "v2") as demo:
        demo.w.spec = DEMO
        assert "Try it" not in shop.signed_in("mara").get("/apps/shop").text
        page = demo.signed_in("mara").get("/apps/shop").text
        assert "Try it" in page
        assert "Deploy v3" in page
