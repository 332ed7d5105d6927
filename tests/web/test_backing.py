"""A backing component: on the page of its app without clutter, and with a page, a history and a rollback of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.cli import HEALTH, Cli, wait_until
from tests.web.pages import SOON, box_of, button, dialog, expect_live, expect_pill, expect_toast
from tests.web.served import Served
from tests.web.test_axe import complaints
from tests.web.visits import Visit

DB: dict[str, Any] = {"kind": "backing", "image": "dctl-test/web:v1", "port": 8080, "health": {"kind": "http", **HEALTH},
                      "mounts": ["data:/data"], "stop_grace": "3s"}
PAGE = "/apps/store/components/db"


@pytest.fixture(scope="module")
def store(served: Served) -> Cli:
    """An app whose database went from v1 to v2."""
    served.cli.write("store", replicas=1, needs={"db": "healthy"}, components={"db": DB})
    served.cli.do("upgrade", "store", "v1")
    served.cli.do("upgrade", "store/db", "v2")
    return served.cli


def row(page: Page) -> Locator:
    return page.get_by_role("region", name="Backing components").get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile("^db")))


def drawn(page: Page) -> Locator:
    return page.get_by_role("list", name="Backing components, for all versions").get_by_role("listitem")


def runs(page: Page) -> Locator:
    return page.get_by_role("region", name="What runs")


def live(page: Page, version: str) -> Locator:
    return runs(page).get_by_role("heading", name=re.compile(f"^{version} Live"))


def test_the_page_of_its_app_shows_it_with_what_it_uses_and_leads_to_its_own(store: Cli, visit: Visit) -> None:
    page = visit("/apps/store")
    expect(drawn(page)).to_have_text(re.compile(r"db\s+v2.*passing", re.DOTALL), timeout=SOON)
    cells = row(page).get_by_role("cell")
    expect(row(page).get_by_role("rowheader")).to_contain_text("before v1", timeout=SOON)
    expect(row(page).get_by_role("rowheader")).to_contain_text(re.compile(r"data,\s+\d+ kB"), timeout=SOON)
    expect(cells.nth(0)).to_contain_text("Passing", timeout=SOON)
    expect(cells.nth(1)).to_have_text(re.compile(r"^\s*\d+ %\s*$"), timeout=SOON)
    expect(cells.nth(2)).to_have_text(re.compile(r"^\s*\d+ / \d+ MB\s*$"), timeout=SOON)
    expect(cells.nth(3)).to_contain_text("web:v2")
    row(page).get_by_role("link", name="db").click()
    page.wait_for_url(f"**{PAGE}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("db")
    expect(runs(page)).to_contain_text(re.compile(r"Memory\s+\d+ / \d+ MB"), timeout=SOON)
    expect(page.get_by_role("region", name="Traffic")).to_have_count(0)


def test_the_list_of_apps_names_it_quietly(store: Cli, visit: Visit) -> None:
    page = visit("/")
    app = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile("^store")))
    expect(app).to_contain_text("db v2", timeout=SOON)
    expect(page.get_by_role("rowheader", name=re.compile("db"))).to_have_count(0)


def test_a_rollback_of_it_asks_says_that_data_stays_and_its_app_shows_what_came(store: Cli, visit: Visit) -> None:
    watching, page = visit("/apps/store"), visit(PAGE)
    expect_live(watching)
    expect_live(page)
    button(page, "Roll back to v1").click()
    expect(dialog(page)).to_contain_text("Its data stays as it is.")
    expect(dialog(page)).to_contain_text("v2 is stopped first")
    assert complaints(page, "the question before its rollback") == []
    dialog(page).get_by_role("button", name="Roll back to v1").click()
    expect(live(page, "v1")).to_be_visible(timeout=SOON)
    expect_toast(page, "store/db runs v1.")
    expect(drawn(watching)).to_have_text(re.compile(r"db\s+v1.*passing", re.DOTALL), timeout=SOON)
    page.get_by_role("region", name="Activity").get_by_role("link", name=re.compile("^Undo")).click()
    dialog(page).get_by_role("button", name="Undo").click()
    expect(live(page, "v2")).to_be_visible(timeout=SOON)
    expect(drawn(watching)).to_have_text(re.compile(r"db\s+v2.*passing", re.DOTALL), timeout=SOON)


def test_one_that_is_ill_is_named_on_both_pages_and_in_the_list(store: Cli, visit: Visit) -> None:
    page, own, apps = visit("/apps/store"), visit(PAGE), visit("/")
    for one in (page, own, apps):
        expect_live(one)
    container = next(one["container"] for one in store.app("store/db")["instances"] if one["role"] == "active")
    store.api.kill(container, signal="SIGSTOP")
    try:
        expect_pill(own, "Down")
        expect(page.get_by_role("alert").filter(has_text="store/db")).to_be_visible(timeout=SOON)
        expect(row(page).get_by_role("cell").nth(0)).to_contain_text("Failing", timeout=SOON)
        expect(apps.get_by_role("link", name="db down")).to_be_visible(timeout=SOON)
        found = [*complaints(page, "an app whose database is ill"), *complaints(own, "its database"),
                 *complaints(apps, "the list")]
        assert found == [], "\n".join(found)
    finally:
        store.api.kill(container, signal="SIGCONT")
    expect_pill(own, "Healthy")
    wait_until(lambda: store.app("store/db")["state"] == "healthy", what="a healthy database")


def test_axe_finds_nothing_wrong_with_its_pages(store: Cli, visit: Visit) -> None:
    page = visit("/apps/store")
    expect(row(page)).to_be_visible(timeout=SOON)
    found = complaints(page, "its app")
    for path in (PAGE, f"{PAGE}/versions/v1", f"{PAGE}/deploy", f"{PAGE}/compare?a=v1&b=v2", f"{PAGE}/logs"):
        visit(path, within=page)
        page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true")
        found += complaints(page, path)
    assert found == [], "\n".join(found)


def test_the_app_is_scaled_on_its_page_and_its_database_cannot_be(store: Cli, visit: Visit) -> None:
    page = visit("/apps/store")
    expect_live(page)
    web = page.get_by_role("region", name="Components", exact=True).get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile("^web")))
    web.get_by_text("Scale web").click()
    web.get_by_label("Replicas of web").fill("2")
    web.get_by_role("button", name="Scale").click()
    expect(web).to_contain_text("2 of 2 replicas", timeout=SOON)
    expect_toast(page, "store runs with 2 replicas")
    expect(row(page).get_by_text("Scale")).to_have_count(0)
    assert sum(one["component"] == "web" for one in store.app("store")["instances"]) == 2


def test_on_a_phone_its_figures_and_its_button_are_in_the_first_screen(store: Cli, visit: Visit) -> None:
    page = visit(PAGE, phone=True)
    expect(runs(page)).to_contain_text("data", timeout=SOON)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    box = box_of(button(page, "Roll back to v1"))
    assert box["y"] + box["height"] <= 844, box
