"""One click back, as a person does it: the page shows the truth, says how long it took, and a second click does no harm."""

from __future__ import annotations

import re

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.e2e.cli import Cli
from tests.web.pages import (
    SOON,
    box_of,
    button,
    dialog,
    expect_live,
    expect_serves,
    expect_toast,
    focused,
    live_version,
    toast,
    told,
)
from tests.web.served import DEPLOYER, VIEWER
from tests.web.visits import Visit


def changes(cli: Cli) -> list[str]:
    return [row[0] for row in cli.rows("select kind from changes where app = 'shop' order by revision desc")]


def test_one_click_goes_back_and_the_page_says_so(shop: Cli, visit: Visit) -> None:
    page, before = visit("/apps/shop"), len(changes(shop))
    with shop.visitors("shop", 50) as visitors:
        expect_serves(page, "v2")
        button(page, "Roll back to v1").click()
        expect_serves(page, "v1")
        expect_toast(page, "Traffic is on v1.", "Took ", " s, no request was lost", "Undo")
    assert visitors.count.lost == 0, visitors.count.sentence
    assert shop.active("shop") == "v1"
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]
    expect(page.locator(".chips")).to_contain_text("v2 on hold")
    expect(page.locator(".chips")).to_contain_text("mara")


def test_a_changed_configuration_goes_back_to_the_release_before_by_button_and_by_key(shop: Cli, visit: Visit) -> None:
    shop.do("upgrade", "shop", "v2", "--env", "MODE=sale", "-y")
    before = shop.app("shop")["rollback"]
    page = visit("/apps/shop")
    page.keyboard.press("r")
    expect(dialog(page)).to_contain_text(f"Roll back to {before['name']}?")
    expect(dialog(page)).to_contain_text("MODE")
    page.keyboard.press("Escape")
    expect(page.locator(".foot")).to_contain_text(f"deployctl rollback shop {before['name']}")
    button(page, f"Roll back to {before['name']}").click()
    expect_toast(page, f"Traffic is on {before['name']}.")
    assert shop.app("shop")["active"]["release"] == before["release"]


def test_undo_brings_the_version_back_and_lifts_the_hold_that_was_made(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    button(page, "Roll back to v1").click()
    expect_toast(page, "Traffic is on v1.")
    toast(page).get_by_role("button", name="Undo").click()
    expect_serves(page, "v2")
    expect_toast(page, "Traffic is on v2.")
    expect(page.locator(".chips")).to_have_count(0)
    assert shop.active("shop") == "v2"
    assert not any(one["held"] for one in shop.app("shop")["instances"])


def test_a_double_click_moves_the_traffic_once(shop: Cli, visit: Visit) -> None:
    page, before = visit("/apps/shop"), len(changes(shop))
    button(page, "Roll back to v1").dblclick()
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")
    page.wait_for_timeout(1000)
    assert live_version(page).inner_text() == "v1"
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def test_a_nervous_finger_meets_a_button_that_does_nothing_for_a_moment(shop: Cli, visit: Visit) -> None:
    """The button that stands there after the flip would take the traffic back; so it is inert at first."""
    page, before = visit("/apps/shop"), len(changes(shop))
    box = box_of(button(page, "Roll back to v1"))
    for _ in range(6):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect_toast(page, "Traffic is on v1.")
    page.wait_for_timeout(500)
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def test_a_click_before_the_first_was_answered_is_no_second_switch(shop: Cli, visit: Visit) -> None:
    """The page hears of the switch first, and has a fresh button where the first one was."""
    page, before = visit("/apps/shop"), len(changes(shop))
    expect_live(page)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/api/v1/apps/shop/*", lambda route: held.append((route, route.fetch())))
    button(page, "Roll back to v1").click()
    expect_serves(page, "v1")
    page.get_by_role("button", name="Switch traffic to v2").first.click()  # v2, or v2@3 where it has two releases
    page.wait_for_timeout(300)
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect_toast(page, "Traffic is on v1.")
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def test_a_connection_that_breaks_after_it_was_done_is_not_a_second_switch(shop: Cli, visit: Visit) -> None:
    page, before, sent = visit("/apps/shop", broken=True), len(changes(shop)), []

    def lose_the_answer(route: Route) -> None:
        sent.append(route.request.headers["idempotency-key"])
        if len(sent) == 1:
            assert route.fetch().status == 200
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/v1/apps/shop/rollback", lose_the_answer)
    button(page, "Roll back to v1").click()
    expect_toast(page, "Traffic is on v1.")
    expect_serves(page, "v1")
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def test_of_two_tabs_that_are_clicked_together_one_moves_the_traffic_and_the_other_is_told(shop: Cli, visit: Visit) -> None:
    first, before = visit("/apps/shop", allowed={409, 412, 423}), len(changes(shop))
    second = visit("/apps/shop", beside=first)
    at = first.evaluate("Date.now()") + 300
    for tab in (first, second):
        tab.evaluate("at => { setTimeout(() => document.querySelector('button.go').click(), at - Date.now()) }", at)
    for tab in (first, second):
        expect_serves(tab, "v1")
        expect(toast(tab).get_by_text("Traffic is on v1.").or_(told(tab)).or_(dialog(tab).locator("h2"))).to_be_visible()
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]
    assert [toast(tab).get_by_text("Traffic is on v1.").count() for tab in (first, second)].count(1) == 1


def test_a_stale_page_moves_nothing_says_who_was_faster_and_takes_the_focus_there(shop: Cli, visit: Visit) -> None:
    page, before = visit("/apps/shop", allowed={409, 412}), len(changes(shop))
    hold_back(page)
    visit("/apps/shop", within=page)  # so that nothing is on its way any more
    shop.do("rollback", "shop")
    button(page, "Roll back to v1").click()
    expect(told(page)).to_contain_text(re.compile("moved|switched"), timeout=SOON)
    expect(told(page)).to_contain_text("Your click was not carried out.")
    assert "Your click was not carried out." in focused(page)
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def hold_back(page: Page) -> None:
    """Let the page refresh nothing by itself until it acts: its pieces and its stream do not answer."""
    acted: list[str] = []
    page.on("request", lambda request: acted.append(request.url) if request.method == "POST" else None)

    def maybe(route: Route) -> None:
        route.continue_() if acted else route.abort("aborted")

    page.route("**/events*", lambda route: route.abort("aborted"))
    page.route("**/live", maybe)
    page.route("**/lower", maybe)


def test_the_command_line_and_the_page_at_once_make_one_switch(shop: Cli, visit: Visit) -> None:
    page, before = visit("/apps/shop", allowed={409, 412, 423}), len(changes(shop))
    revision = str(shop.revision("shop"))
    page.evaluate("setTimeout(() => document.querySelector('button.go')?.click(), 250)")  # about when the command gets there
    ran = shop.run("rollback", "shop", "--if-revision", revision)
    assert ran.code in {0, 5, 6}, ran
    expect_serves(page, "v1")
    assert changes(shop)[: len(changes(shop)) - before] == ["rollback"]


def test_what_is_typed_elsewhere_shows_at_once(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    shop.do("rollback", "shop", "-m", "checkout 500s")
    expect_serves(page, "v1")
    expect(page.locator("#lower")).to_contain_text("checkout 500s", timeout=5000)
    shop.do("undo", "shop")
    expect_serves(page, "v2")


def test_the_list_of_apps_shows_it_too(shop: Cli, visit: Visit) -> None:
    page = visit("/")
    expect_live(page)
    row = page.get_by_role("row").filter(has_text="shop")
    expect(row).to_contain_text("v2")
    shop.do("rollback", "shop")
    expect(row.locator("td").nth(1)).to_contain_text("v1", timeout=8000)
    expect(row).to_contain_text("on hold")


def test_one_stream_serves_all_tabs_of_a_browser(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    tabs = [visit("/apps/shop", beside=page) for _ in range(3)]
    for tab in tabs:
        expect_live(tab)
    shop.do("rollback", "shop")
    for tab in (page, *tabs):
        expect_serves(tab, "v1")
    page.close()  # the one that had the stream
    shop.do("undo", "shop")
    for tab in tabs:
        expect_serves(tab, "v2")


def test_a_viewer_reads_who_may_instead_of_finding_a_button(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", who=VIEWER)
    expect_serves(page, "v2")
    expect(page.locator("main")).to_contain_text("Needs the deployer role")
    assert page.locator("main form[data-act]").count() == 0
    assert page.get_by_role("button", name="Roll back").count() == 0
    page.keyboard.press("r")
    page.wait_for_timeout(300)
    assert dialog(page).is_hidden()


def test_a_deployer_goes_back_too(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", who=DEPLOYER)
    button(page, "Roll back to v1").click()
    expect_serves(page, "v1")  # HAProxy's route; the ledger's record follows within milliseconds
    expect_toast(page, "Traffic is on v1.")
    assert "jonas (web)" in str(shop.rows("select actor from changes order by revision desc limit 1"))


def test_on_a_phone_the_button_is_in_the_first_screen_and_as_wide_as_it(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", phone=True)
    found = button(page, "Roll back to v1")
    box = box_of(found)
    assert box["y"] + box["height"] <= 844, box
    assert box["width"] >= 300, box
    assert box["height"] >= 44, box
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    found.tap()
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")


def test_the_reason_is_told_after_the_traffic_was_moved(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    button(page, "Roll back to v1").click()
    expect_toast(page, "Traffic is on v1.")
    page.locator("#lower").get_by_text("Add a reason").click()
    page.get_by_label("Why was traffic switched?").fill("checkout gives 500s")
    page.keyboard.press("Enter")
    expect(page.locator("#lower")).to_contain_text("checkout gives 500s")
    assert "checkout gives 500s" in shop.text("history", "shop").out


def test_the_toast_leaves_after_half_a_minute_and_the_activity_keeps_the_undo(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.clock.install()
    button(page, "Roll back to v1").click()
    page.clock.run_for(1000)
    expect_toast(page, "Traffic is on v1.", "Undo")
    page.clock.run_for(31_000)
    expect(toast(page)).to_be_hidden()
    page.locator("#lower").get_by_role("button", name=re.compile("^Undo")).click()
    page.clock.run_for(1000)
    expect_serves(page, "v2")
