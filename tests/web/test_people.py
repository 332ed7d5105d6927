"""Signing in and out, and what people keep of themselves: passwords, sessions, roles, tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.chromium import Watched, new_context
from tests.web.pages import expect_live
from tests.web.served import ADMIN, VIEWER, Served
from tests.web.visits import Visit

PHRASE = "correct horse battery"
LIGHT, DARK = "rgb(244, 245, 247)", "rgb(11, 13, 17)"


@pytest.fixture(scope="module")
def served(served: Served) -> Served:
    served.cli.serving("shop")
    return served


@pytest.fixture
def stranger(chromium: Browser, served: Served) -> Iterator[Page]:
    """A browser that nobody has signed in."""
    with new_context(chromium, served.base) as context:
        watched = Watched(served.base, {401, 403})
        watched.watch(context)
        yield context.new_page()
        watched.require_nothing()


def asked_with(served: Served, token: str, path: str = "/api/v1/apps") -> int:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_whoever_is_not_signed_in_is_led_there_and_then_to_where_he_wanted_to_be(served: Served, stranger: Page,
                                                                                visit: Visit) -> None:
    page = visit("/settings", who=ADMIN)
    page.get_by_label("New password", exact=True).fill(PHRASE)
    page.get_by_label("Confirm new password").fill(PHRASE)
    page.get_by_role("button", name=re.compile("^(Set|Change) password$")).click()
    expect(page.locator("#notices")).to_contain_text("password", timeout=10_000)
    stranger.goto("/apps/shop")
    expect(stranger.locator("h1")).to_have_text("Sign in first")
    stranger.get_by_role("link", name="Sign in").click()
    stranger.get_by_label("Name").fill(ADMIN)
    stranger.get_by_label("Password").fill("wrong wrong wrong")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_contain_text("Wrong user name or password")
    expect(stranger.get_by_label("Password")).to_be_focused()
    stranger.keyboard.type(PHRASE)
    stranger.keyboard.press("Enter")
    stranger.wait_for_url("**/apps/shop")
    expect(stranger.locator("h1")).to_contain_text("shop")


def test_a_link_signs_in_once_and_only_by_its_button(served: Served, stranger: Page) -> None:
    link = served.link(VIEWER)
    for _ in range(2):  # a mail scanner looks first
        stranger.goto(link)
    stranger.get_by_role("button", name="Sign in").click()
    stranger.wait_for_url(f"{served.base}/")
    expect(stranger.locator("h1")).to_have_text("Apps")
    stranger.get_by_label(f"Signed in as {VIEWER}: menu").click()
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger.locator("h1")).to_have_text("Sign in")
    stranger.goto(link)
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_be_visible()
    stranger.goto("/")
    expect(stranger.locator("h1")).to_have_text("Sign in first")


def test_one_sees_where_one_is_signed_in_and_a_session_that_is_ended_there_is_over_on_its_open_page(
        served: Served, visit: Visit, stranger: Page) -> None:
    """Its stream ends with it, and the page asks to sign in by itself. Five links a minute are all that is allowed here."""
    page = visit("/settings", who=ADMIN)
    stranger.goto(served.link(ADMIN))
    stranger.get_by_role("button", name="Sign in").click()
    stranger.wait_for_url(f"{served.base}/")
    stranger.goto("/apps/shop")
    expect_live(stranger)
    page.reload()
    expect(page.get_by_text("This session")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Sign out the session")).first.click()
    expect(page.locator("#notices .notice")).to_be_visible()
    expect(stranger.locator("h1")).to_have_text("Sign in first", timeout=30_000)


def test_a_token_is_shown_once_works_and_is_revoked(served: Served, visit: Visit) -> None:
    page = visit("/settings", who=ADMIN)
    page.get_by_label("Name", exact=True).last.fill("deploy-main")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator(".once").inner_text().strip()
    assert secret.startswith("dctl_")
    assert asked_with(served, secret) == 200
    page.goto("/settings")
    expect(page.locator("main")).not_to_contain_text(secret)
    page.get_by_label("Revoke deploy-main").click()
    page.get_by_role("button", name="Revoke deploy-main").click()
    expect(page.locator("main")).to_contain_text("revoked")
    assert asked_with(served, secret) == 401


def test_an_admin_adds_somebody_gives_a_role_and_a_link(served: Served, visit: Visit) -> None:
    page = visit("/settings", who=ADMIN)
    page.locator("#user-name").fill("ada")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="ada").first).to_be_visible()
    page.get_by_label("Role of ada").select_option("viewer")
    page.get_by_role("button", name="Assign ada that role").click()
    assert served.cli.rows("select roles from users where name = 'ada'") == [(json.dumps({"*": "viewer"}),)]
    page.get_by_role("button", name="Create a one-time sign-in link for ada").click()
    assert page.locator(".once").inner_text().startswith(f"{served.base}/start/")
    page.get_by_label("Remove ada").click()
    page.get_by_role("button", name="Remove ada").click()
    expect(page.get_by_role("row").filter(has_text="ada")).to_have_count(0)


def test_a_viewer_sees_nothing_of_people_or_tokens(served: Served, visit: Visit) -> None:
    page = visit("/settings", who=VIEWER)
    expect(page.get_by_role("heading", name="People")).to_have_count(0)
    expect(page.get_by_role("heading", name="API tokens")).to_have_count(0)
    assert ADMIN not in page.locator("main").inner_text()


def test_the_theme_follows_the_system_until_somebody_chooses_and_never_flashes(served: Served, visit: Visit) -> None:
    page = visit("/", dark=True)
    assert page.locator("html").get_attribute("data-theme") == "auto"
    expect(page.locator("body")).to_have_css("background-color", DARK)
    page.get_by_label(re.compile("^Theme:")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("body")).to_have_css("background-color", LIGHT)
    page.get_by_label(re.compile("^Theme:")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", DARK)


def test_what_was_done_and_refused_stands_in_the_activity(served: Served, visit: Visit) -> None:
    page = visit("/activity")
    expect(page.locator("main")).to_contain_text("signed in")
    expect(page.locator("main")).to_contain_text("denied")
    with page.expect_download() as got:
        page.get_by_role("link", name=re.compile("CSV")).click()
    assert "signed in" in got.value.path().read_text()


@pytest.mark.parametrize(("path", "word"), [("/server", "Python"), ("/settings", "admin")])
def test_no_short_cell_is_broken_within_a_word(visit: Visit, path: str, word: str) -> None:
    page = visit(path, who=ADMIN)
    cells = page.locator("tbody :is(.v, td)").filter(has_text=re.compile(rf"^\s*{word}\b"))
    lines = cells.evaluate_all("""cells => cells.map(cell => {
        const range = document.createRange()
        range.selectNodeContents([...cell.childNodes].find(node => node.nodeType === 3 && node.data.trim()))
        return range.getClientRects().length
    })""")
    assert set(lines) == {1}
