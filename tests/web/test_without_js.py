"""Without JavaScript everything that matters works: forms and pages do what the script only makes quicker."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.cli import Cli
from tests.web.pages import button, expect_serves
from tests.web.served import VIEWER
from tests.web.visits import Visit


def open_shop(visit: Visit) -> Page:
    return visit("/apps/shop", js=False)


def test_one_click_goes_back_and_undo_comes_back(shop: Cli, visit: Visit) -> None:
    page = open_shop(visit)
    with shop.visitors("shop", 50) as visitors:
        button(page, "Roll back to v1").click()
        expect_serves(page, "v1")
        notice = page.locator("#notices .notice")
        expect(notice).to_contain_text("Traffic is on v1.")
        expect(page.locator(".chips")).to_contain_text("v2 on hold")
        notice.get_by_role("button", name="Undo").click()
        expect_serves(page, "v2")
        expect(page.locator(".chips")).to_have_count(0)
    assert visitors.count.lost == 0, visitors.count.sentence
    assert shop.active("shop") == "v2"


def test_a_stale_page_moves_nothing_and_says_who_was_faster(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", js=False, allowed={409})
    shop.do("rollback", "shop")
    button(page, "Roll back to v1").click()
    expect(page.locator("main")).to_contain_text("Your click was not carried out.")
    expect(page.locator("main")).to_contain_text("Traffic was switched to v1")
    expect_serves(page, "v1")
    newest = shop.rows("select kind, actor from changes order by revision desc limit 2")
    assert [kind for kind, _actor in newest] != ["rollback", "rollback"], newest


def test_a_version_is_deployed_and_the_page_follows_by_itself(shop: Cli, visit: Visit) -> None:
    page = open_shop(visit)
    button(page, "Deploy a version").click()
    expect(page.locator("h1")).to_have_text("Deploy a version")
    page.get_by_label("Version", exact=True).fill("slow")
    page.get_by_label("Another image").fill("dctl-test/slowstart:v1")
    page.get_by_role("button", name="Deploy").click()
    expect(page.locator("#notices .notice")).to_be_visible()
    if page.locator("ol.stepper").count():
        assert page.locator("noscript").count() or page.locator("meta[http-equiv=refresh]").count()
    for _ in range(20):
        if page.locator("article.slot.live h3 a").inner_text() == "slow":
            break
        page.wait_for_timeout(500)
        page.goto("/apps/shop")
    expect_serves(page, "slow")
    assert shop.active("shop") == "slow"


def test_what_is_risky_asks_on_a_page_of_its_own(shop: Cli, visit: Visit) -> None:
    page = open_shop(visit)
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Stop v2").click()
    expect(page.locator("h1")).to_contain_text("v2")
    page.get_by_role("link", name="Cancel").click()
    expect_serves(page, "v2")
    assert shop.active("shop") == "v2"


def test_a_version_is_held_and_the_hold_is_lifted(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop/versions/v1", js=False)
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Put on hold").click()
    page.goto("/apps/shop")
    page.get_by_role("button", name="Release the hold on v1").first.click()
    expect(page.locator(".chips")).to_have_count(0)
    assert not any(one["held"] for one in shop.app("shop")["instances"])


def test_a_deploy_is_stopped(shop: Cli, visit: Visit) -> None:
    typed = shop.begin("upgrade", "shop", "sick", "--image", "dctl-test/neverhealthy:v1")
    page = open_shop(visit)
    for _ in range(20):
        if page.get_by_role("button", name="Abort this deployment").count():
            break
        page.wait_for_timeout(200)
        page.goto("/apps/shop")
    page.get_by_role("button", name="Abort this deployment").click()
    assert shop.ended(typed).code == 1
    assert shop.active("shop") == "v2"


def test_looks_and_theme_are_kept_in_the_browser(shop: Cli, visit: Visit) -> None:
    page = visit("/settings", js=False)
    page.get_by_label("Theme", exact=True).select_option("dark")
    page.get_by_role("button", name="Save in this browser").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/apps/shop")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_every_page_is_whole_and_every_link_leads_somewhere(shop: Cli, visit: Visit) -> None:
    page, seen, left = visit("/", js=False), set[str](), ["/", "/apps/shop"]
    while left:
        path = left.pop()
        if path in seen or len(seen) > 60:
            continue
        seen.add(path)
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.locator("h1").count() == 1, path
        found = page.locator("a[href]").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        left += [link for link in found if link.startswith("/") and not re.search(r"\.(txt|csv|jsonl?)\b|since=|a=|b=", link)]
    assert {"/", "/apps/shop", "/activity", "/server", "/settings", "/apps/shop/logs"} <= seen, seen


def test_a_viewer_finds_no_button_that_is_refused(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", who=VIEWER, js=False)
    expect(page.locator("main")).to_contain_text("deployer role")
    assert page.locator("main form[method=post]").count() == 0
