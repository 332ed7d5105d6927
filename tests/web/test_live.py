"""What the page shows is what is so: a piece that got lost is asked for again, and a click lands although the page
changes under it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.e2e.cli import Cli
from tests.web.pages import SOON, button, expect_live, expect_serves, expect_toast, toast, told
from tests.web.visits import Visit

LIVE = "**/apps/shop/live"


def drop(route: Route, _before: str) -> None:
    """As Chromium does when an interface of the machine comes or goes."""
    route.abort("internetdisconnected")


def fail(route: Route, _before: str) -> None:
    route.fulfill(status=503, headers={"Retry-After": "5"})


def show_what_was_read_before(route: Route, before: str) -> None:
    """As while Docker does not respond in time."""
    route.fulfill(status=200, body=before, headers={"Deployctl-Stale": "yes"})


@pytest.mark.parametrize("lose", [drop, fail, show_what_was_read_before])
def test_a_piece_that_got_lost_is_asked_for_again_though_nothing_else_happens(
        shop: Cli, visit: Visit, lose: Callable[[Route, str], None]) -> None:
    page = visit("/apps/shop", broken=True, allowed={503})
    expect_live(page)
    before, lost = page.request.get("/apps/shop/live", headers={"X-Fragment": "1"}).text(), list[Route]()

    def lose_it(route: Route) -> None:
        lost.append(route)
        lose(route, before)

    page.route(LIVE, lose_it)
    shop.do("rollback", "shop")
    expect(page.locator("#lower .feed li").first).to_contain_text("Rolled back to v1", timeout=SOON)
    until_all_is_told(page)
    assert lost
    expect_serves(page, "v2")
    page.unroute(LIVE)
    expect_serves(page, "v1")


def until_all_is_told(page: Page) -> None:
    """Return when no change of the app was published for longer than its health is looked at."""
    page.evaluate("""() => new Promise(done => {
        let last = performance.now();
        document.addEventListener('told', ({detail}) => { if (detail.kind === 'state') last = performance.now(); });
        setInterval(() => { if (performance.now() - last > 4500) done(); }, 100);
    })""")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_press_and_its_release_are_a_click_though_the_page_was_made_anew_between_them(
        shop: Cli, visit: Visit, by: str) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    back = button(page, "Roll back to v1")
    if by == "mouse":
        back.hover()
        page.mouse.down()
    else:
        back.focus()
        page.keyboard.down(" ")
    page.evaluate("document.querySelector('#live').dataset.was = ''")  # whatever comes, it is not what was there
    with page.expect_response(LIVE):
        shop.do("annotate", "shop", "-m", "while a finger is on it")
    page.wait_for_function("document.querySelector('#lower').textContent.includes('while a finger')")
    if by == "mouse":
        page.mouse.up()
    else:
        page.keyboard.up(" ")
    expect_toast(page, "Traffic is on v1.")
    expect_serves(page, "v1")


def test_a_press_that_is_never_released_does_not_keep_the_page_as_it_was(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    button(page, "Roll back to v1").hover()
    page.mouse.down()
    shop.do("rollback", "shop")
    expect_serves(page, "v1")


def test_a_tab_that_hears_from_another_one_at_once_shows_what_happened_before_it_could_hear(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    page.evaluate("setInterval(() => new BroadcastChannel('deployctl').postMessage({alive: true}), 20)")
    held: list[str] = []

    def change_first(route: Route) -> None:
        """The page stands, and its script is not there yet."""
        if not held:
            held.append(route.request.url)
            shop.do("rollback", "shop")
            expect_serves(page, "v1")
            until_all_is_told(page)
        route.continue_()

    page.context.route("**/js/main.js*", change_first)
    tab = page.context.new_page()
    tab.goto("/apps/shop")
    assert held
    expect_serves(tab, "v1")


def test_what_the_server_answers_late_is_told_all_the_same(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/api/v1/apps/shop/rollback", lambda route: held.append((route, route.fetch())))
    button(page, "Roll back to v1").click()
    expect(told(page)).to_contain_text("Not confirmed yet", timeout=SOON)
    expect(toast(page)).not_to_contain_text("Traffic is on")
    for _ in range(600):  # until the server has answered, which the page does not know yet
        if held:
            break
        page.wait_for_timeout(50)
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect_toast(page, "Traffic is on v1.")
    expect(told(page)).to_have_count(0)
