"""Everything by keyboard alone: keys that ask before they act, a palette, and a focus that is never lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.cli import Cli
from tests.web.pages import dialog, expect_serves, expect_toast, toast
from tests.web.visits import Visit


def tab_to(page: Page, name: str, *, most: int = 60) -> None:
    """Press Tab until what has that name has the focus, as somebody without a mouse does."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("""() => { const one = document.activeElement;
            return (one.getAttribute('aria-label') ?? one.innerText ?? '').trim() }""").startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name}")


def in_dialog(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('dialog#ask').contains(document.activeElement)"))


def test_the_first_tab_skips_to_the_content_and_the_button_is_reached_and_pressed(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Roll back to v1")
    page.keyboard.press("Enter")
    expect_serves(page, "v1")
    expect(toast(page).get_by_role("heading")).to_be_focused()  # the button is gone, and its user gets a message
    page.keyboard.press("Tab")
    expect(toast(page).get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect_serves(page, "v2")
    assert shop.active("shop") == "v2"


def test_r_asks_and_enter_on_cancel_does_nothing(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("r")
    expect(dialog(page)).to_be_visible()
    expect(dialog(page).get_by_role("heading").first).to_contain_text("v1")
    expect(dialog(page).get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog(page)).to_be_hidden()
    assert shop.active("shop") == "v2"


def test_r_and_then_the_button_goes_back_with_a_reason(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("r")
    expect(dialog(page).get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("by hand")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert in_dialog(page)
    page.keyboard.press("Enter")
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")
    assert shop.rows("select note from changes order by revision desc limit 1") == [("by hand",)]


def test_the_focus_stays_in_the_dialog_and_escape_gives_it_back(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    tab_to(page, "Deploy a version")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_be_visible()
    expect(dialog(page).get_by_role("combobox", name="Version")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert in_dialog(page) or page.evaluate("document.activeElement === document.body")  # the browser's own bar is next
    again = page.locator("#live").evaluate("region => { region.innerHTML = region.innerHTML; return region.id; }")
    assert again == "live"  # rendered again behind the dialog, as any change does
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_role("link", name="Deploy a version")).to_be_focused()


def test_d_deploys_a_version(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("d")
    expect(dialog(page).get_by_role("combobox", name="Version")).to_be_focused()
    page.keyboard.type("v3")
    page.keyboard.press("Enter")
    expect_serves(page, "v3")
    assert shop.active("shop") == "v3"


def test_the_list_of_keys_opens_and_closes(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("?")
    expect(dialog(page).get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()


@pytest.mark.parametrize(("keys", "path"), [
    (["l"], "/apps/shop/logs"), (["g", "a"], "/"), (["g", "s"], "/server"), (["g", "y"], "/activity"),
    (["g", "l"], "/apps/shop/logs")])
def test_keys_lead_to_places(shop: Cli, visit: Visit, keys: list[str], path: str) -> None:
    page = visit("/apps/shop")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_url(re.compile(re.escape(path) + r"($|\?)"))


def test_the_palette_finds_an_action_and_asks_before_it_acts(shop: Cli, visit: Visit) -> None:
    page = visit("/")
    page.keyboard.press("Control+k")
    field = dialog(page).get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("roll back shop v1")
    expect(dialog(page).get_by_role("option").first).to_have_text("Roll back shop to v1")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_role("link", name="Cancel")).to_be_focused()
    assert shop.active("shop") == "v2"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("activity")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/activity")


def test_single_keys_are_off_while_one_types(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter the logs")).to_be_focused()
    page.keyboard.type("rd?")
    expect(page.get_by_label("Filter the logs")).to_have_value("rd?")
    assert dialog(page).is_hidden()


def test_single_keys_can_be_switched_off_and_the_palette_stays(shop: Cli, visit: Visit) -> None:
    page = visit("/settings")
    page.get_by_label("Single-key shortcuts").select_option("off")
    page.get_by_role("button", name="Save in this browser").click()
    visit("/apps/shop", within=page)
    for key in ("r", "d", "?", "l"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert dialog(page).is_hidden()
    assert page.url.endswith("/apps/shop")
    page.keyboard.press("Control+k")
    expect(dialog(page)).to_be_visible()


def test_the_focus_survives_that_the_page_refreshes_itself(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    tab_to(page, "Deploy a version")
    shop.do("rollback", "shop")
    expect_serves(page, "v1")
    expect(page.get_by_role("link", name="Deploy a version")).to_be_focused()


def test_who_types_is_not_disturbed_by_a_refresh(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.keyboard.press("d")
    dialog(page).get_by_role("combobox", name="Version").fill("v4")
    shop.do("rollback", "shop")
    expect_serves(page, "v1")
    expect(dialog(page).get_by_role("combobox", name="Version")).to_have_value("v4")
