"""An app of several components: the page shows each with its health, and what it uses, without hiding what matters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.cli import Cli
from tests.web.pages import SOON, box_of, button, expect_live, expect_pill, expect_serves, expect_toast
from tests.web.served import Served
from tests.web.test_axe import complaints
from tests.web.visits import Visit

COMPONENTS: dict[str, Any] = {
    "needs": {"api": "healthy"},
    "components": {
        "api": {"port": 8080, "health": {"path": "/healthz", "rise": 1}},
        "worker": {"command": ["/app/image_app.py", "web"], "health": {"uptime": "500ms"}, "needs": {"api": "started"},
                   "mounts": ["jobs:/jobs"]},
    },
    "volumes": {"jobs": {"shared": True}},
}


@pytest.fixture(scope="module")
def mall(served: Served) -> Cli:
    """An app of three components: v2 is live, v1 stands by."""
    served.cli.write("mall", **COMPONENTS)
    for version in ("v1", "v2"):
        served.cli.do("upgrade", "mall", version)
    return served.cli


def drawn(page: Page, version: str) -> Locator:
    """Return the components in the drawing of that version."""
    return page.get_by_role("list", name=f"Components of {version}").get_by_role("listitem")


def row(page: Page, component: str) -> Locator:
    return page.get_by_role("region", name="Components").get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile(f"^{component}")))


def states(**of: str) -> list[re.Pattern[str]]:
    """Return what the drawing says of components, in this order."""
    return [re.compile(f"{component}.*{state}", re.DOTALL) for component, state in of.items()]


def test_the_page_shows_each_component_with_its_health_image_and_what_it_uses(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall")
    expect(drawn(page, "v2")).to_have_text(states(web="passing", api="passing", worker="passing"), timeout=SOON)
    expect(drawn(page, "v1")).to_have_text(states(web="passing", api="passing", worker="stopped"), timeout=SOON)
    for component in ("web", "api", "worker"):
        cells = row(page, component).get_by_role("cell")
        expect(cells.nth(0)).to_contain_text("Passing", timeout=SOON)
        expect(cells.nth(1)).to_have_text(re.compile(r"^\s*\d+ %\s*$"), timeout=SOON)
        expect(cells.nth(2)).to_have_text(re.compile(r"^\s*\d+ / \d+ MB\s*$"), timeout=SOON)
        expect(cells.nth(3)).to_contain_text("web:v2")
    expect(row(page, "worker").get_by_role("rowheader")).to_contain_text("takes no requests")
    expect(row(page, "worker").get_by_role("rowheader")).to_contain_text(re.compile(r"jobs,\s+0 kB"), timeout=SOON)


def test_axe_finds_nothing_wrong_with_them(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall")
    expect(row(page, "worker")).to_be_visible(timeout=SOON)
    found = complaints(page, "an app of several components")
    visit("/apps/mall/versions/v2", within=page)
    page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true")
    found += complaints(page, "its version")
    assert found == [], "\n".join(found)


def test_a_component_that_hangs_is_named_and_marked_and_so_is_that_it_is_well_again(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall")
    expect_live(page)
    api = next(one["container"] for one in mall.app("mall")["instances"]
               if (one["component"], one["role"]) == ("api", "active"))
    mall.api.kill(api, signal="SIGSTOP")
    try:
        expect_pill(page, "Degraded")
        expect(drawn(page, "v2")).to_have_text(states(web="passing", api="failing", worker="passing"), timeout=SOON)
        expect(row(page, "api").get_by_role("cell").nth(0)).to_contain_text("Failing", timeout=SOON)
        expect(page.locator("main")).to_contain_text("api of v2")
    finally:
        mall.api.kill(api, signal="SIGCONT")
    expect_pill(page, "Healthy")
    expect(drawn(page, "v2")).to_have_text(states(web="passing", api="passing", worker="passing"), timeout=SOON)


def test_after_a_click_the_workers_have_changed_with_the_traffic(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall")
    button(page, "Roll back to v1").click()
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")
    expect(drawn(page, "v1")).to_have_text(states(web="passing", api="passing", worker="passing"), timeout=SOON)
    expect(drawn(page, "v2")).to_have_text(states(web="passing", api="passing", worker="stopped"), timeout=SOON)
    expect(page.get_by_role("region", name="Components")).to_contain_text("web:v1", timeout=SOON)
    mall.do("undo", "mall")


def test_the_page_of_a_version_has_the_spec_of_each_component(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall/versions/v1")
    expect(row(page, "api")).to_contain_text("Passing")
    expect(row(page, "worker")).to_contain_text("Stopped")
    specs = page.get_by_role("region", name="Release specs of the other components")
    specs.get_by_text("worker").click()
    expect(specs.locator("#spec-worker")).to_contain_text("it runs for 0.5 s")
    expect(specs.locator("#spec-worker")).to_contain_text("api started")


def test_on_a_phone_nothing_sticks_out_and_the_button_is_in_the_first_screen(mall: Cli, visit: Visit) -> None:
    page = visit("/apps/mall", phone=True)
    expect(row(page, "worker")).to_be_visible(timeout=SOON)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    box = box_of(button(page, "Roll back to v1"))
    assert box["y"] + box["height"] <= 844, box
