"""Deploying from the page: each step shows while it is done, it can be stopped, and what fails changes nothing."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.cli import HEALTH, Cli
from tests.support import free_port
from tests.web.pages import (
    SOON,
    button,
    dialog,
    expect_live,
    expect_pill,
    expect_serves,
    expect_toast,
    live_version,
    told,
)
from tests.web.visits import Visit

SICK = "dctl-test/neverhealthy:v1"  # serves, and is never healthy; given up after five seconds
SLOW = "dctl-test/slowstart:v1"  # needs two seconds


def deploy(page: Page, version: str, image: str = "", note: str = "") -> None:
    button(page, "Deploy a version").click()
    form = dialog(page)
    form.get_by_label("Version").fill(version)
    if image:
        form.get_by_label("Another image").fill(image)
    form.get_by_label("Why?").fill(note)
    form.get_by_role("button", name="Deploy").click()




def test_a_version_is_deployed_from_the_page_and_its_steps_show_live(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    with shop.visitors("shop", 50) as visitors:
        deploy(page, "slow", SLOW, "a new look")
        expect_pill(page, re.compile(r"^Deploying slow"))
        steps = page.locator("ol.stepper")
        expect(steps.locator("li.now")).to_be_visible(timeout=SOON)
        expect(steps.locator("li", has_text="Start").first).to_have_class("done", timeout=SOON)
        assert live_version(page).inner_text() == "v2"  # the rows of what serves stay as they are
        expect_serves(page, "slow")
        expect_pill(page, "Healthy")
    assert visitors.count.lost == 0, visitors.count.sentence
    assert shop.active("shop") == "slow"
    expect(page.locator("#lower")).to_contain_text("a new look", timeout=SOON)
    expect(steps).to_have_count(0)


def test_a_deploy_that_was_typed_elsewhere_shows_with_its_steps_too(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    typed = shop.begin("upgrade", "shop", "slow", "--image", SLOW)
    expect(page.locator("ol.stepper li.now")).to_be_visible(timeout=SOON)
    assert shop.ended(typed).code == 0
    expect_serves(page, "slow")


def test_a_version_that_does_not_get_healthy_changes_nothing_and_says_why(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    deploy(page, "sick", SICK)
    expect_pill(page, re.compile(r"^Deploying sick\s+· 0:0[2-5]$"))  # it counts by itself while nothing else is published
    notice = page.locator(".notice", has_text="sick did not become healthy. v2 is still live.")
    expect(notice).to_be_visible(timeout=2 * SOON)
    expect(notice).to_contain_text("503")
    expect_serves(page, "v2")
    expect(notice.get_by_role("link", name="Try again")).to_be_visible()
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
    visit("/apps/shop", within=page)
    expect(notice).to_have_count(0)
    assert shop.active("shop") == "v2"


def test_a_deploy_can_be_stopped_from_the_page(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", allowed={409})  # when it is stopped before it was answered that it goes on
    deploy(page, "sick", SICK)
    button(page, "Abort this deployment").click()
    expect(page.locator("ol.stepper")).to_have_count(0, timeout=SOON)
    expect_serves(page, "v2")
    expect_pill(page, "Healthy")
    assert shop.active("shop") == "v2"
    assert not [c for c in shop.containers("shop") if "sick" in str(c["Labels"].get("deployctl.version"))]


def test_during_a_deploy_one_click_goes_back_at_once_and_ends_it(shop: Cli, visit: Visit) -> None:
    shop.write("shop", health={**HEALTH, "deadline": "120s"})  # by itself it would go on for longer than the test waits
    page = visit("/apps/shop", allowed={423})  # what the deploy itself is answered when it is overtaken that early
    deploy(page, "sick", SICK)
    back = button(page, "Abort and roll back to v1")
    expect(back).to_be_visible(timeout=SOON)
    back.click()
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")
    assert shop.active("shop") == "v1"
    expect(page.locator("ol.stepper")).to_have_count(0, timeout=SOON)


def test_a_second_deploy_meanwhile_is_told_who_is_at_it(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", allowed={423})
    typed = shop.begin("upgrade", "shop", "sick", "--image", SICK)
    expect(page.locator("ol.stepper")).to_be_visible(timeout=SOON)
    deploy(page, "v3")
    expect(dialog(page).get_by_role("heading")).to_have_text("shop is busy", timeout=SOON)
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(dialog(page)).to_be_hidden()
    assert shop.ended(typed).code == 1
    assert shop.active("shop") == "v2"


def test_a_version_that_does_not_exist_is_refused_in_words(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", allowed={404, 409, 503})
    deploy(page, "nothing-like-that")
    expect(told(page)).to_contain_text("nothing-like-that", timeout=2 * SOON)
    expect_serves(page, "v2")


# -- holds, and what runs beside --------------------------------------------------------------------------------------
def test_a_hold_is_seen_and_lifted(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    shop.do("hold", "shop", "v1", "-m", "cart totals wrong")
    chip = page.locator(".chip", has_text="v1 on hold")
    expect(chip).to_contain_text("cart totals wrong", timeout=SOON)
    chip.get_by_role("button", name="Release the hold on v1").click()
    expect(chip).to_have_count(0)
    assert not any(one["held"] for one in shop.app("shop")["instances"])


def test_a_version_is_put_on_hold_on_its_own_page(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop/versions/v1")
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Put on hold").click()
    expect(page.locator("main")).to_contain_text("On hold", timeout=SOON)
    assert [one["version"] for one in shop.app("shop")["instances"] if one["held"]] == ["v1"]


def test_a_version_is_started_beside_and_stopped_again(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Start a version without traffic").click()
    dialog(page).get_by_label("Version").fill("v3")
    dialog(page).get_by_role("button", name="Start").click()
    expect(page.locator("article.slot h3 a", has_text="v3")).to_be_visible(timeout=2 * SOON)
    assert shop.get("shop", X_Deployctl_Version="v3").version == "v3"
    expect_serves(page, "v2")
    visit("/apps/shop/versions/v3", within=page)
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Stop v3").click()
    dialog(page).get_by_role("button", name=re.compile("Stop")).click()
    expect_toast(page, "v3")
    visit("/apps/shop", within=page)
    expect(page.locator("article.slot h3 a", has_text="v3")).to_have_count(0)


def test_stopping_what_serves_asks_first_with_cancel_in_focus_and_the_page_says_down(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Stop v2").click()
    expect(dialog(page).get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    assert shop.active("shop") == "v2"
    page.get_by_role("link", name="Stop v2").click()
    dialog(page).get_by_role("button", name=re.compile("Stop")).click()
    expect_pill(page, "Down")
    expect(page).to_have_title("! shop down · deployctl")
    assert shop.route("shop") is None


def test_a_deploy_that_takes_the_app_off_its_address_asks_first_and_keeps_what_was_typed(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", allowed={409})
    shop.write("shop", listen=free_port())
    deploy(page, "v3", note="moved")
    expect(dialog(page)).to_contain_text("closes, and clients can no longer connect there")
    dialog(page).get_by_role("button", name="Cancel").click()
    assert shop.active("shop") == "v2"
    shop.write("shop")


def test_an_edited_file_that_is_not_deployed_is_told_on_the_page(shop: Cli, visit: Visit) -> None:
    shop.do("upgrade", "shop", "v2")  # from now on it is known what the file said
    shop.write("shop", env={"MODE": "sale", "API_TOKEN": "hunter2"})
    page = visit("/apps/shop")
    expect(page.locator("main")).to_contain_text("Config changed, not deployed.", timeout=10_000)
    expect(page.locator("main")).to_contain_text("env: MODE – → sale")
    expect(page.locator("main")).not_to_contain_text("hunter2")
    shop.write("shop")
