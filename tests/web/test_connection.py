"""When the page cannot hear: it says so, asks by itself, recovers by itself, and what it shows is what is so."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from statistics import median

from playwright.sync_api import Page, expect

from tests.e2e.cli import HEALTH, Cli, wait_until
from tests.web.pages import SOON, button, dialog, expect_live, expect_pill, expect_serves, expect_toast
from tests.web.served import Served
from tests.web.visits import Visit


def connection_words(page: Page, words: str | re.Pattern[str], within: float = SOON) -> None:
    expect(page.locator("#conn")).to_contain_text(words, timeout=within)


@contextmanager
def streams(served: Served, number: int) -> Iterator[list[HTTPResponse]]:
    """Let programs hear so many streams; each has had its snapshot."""
    secret = served.cli.do("token", "create", f"crowd-{number}-{time.time_ns()}", "--scope", "read")["secret"]
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", served.port, timeout=20)))
            connection.request("GET", "/events?app=shop", headers={"Authorization": f"Bearer {secret}"})
            answer = connection.getresponse()
            assert answer.status == 200
            while b"event: snapshot" not in answer.readline():
                pass
            found.append(answer)
        yield found


def test_beside_a_program_that_wants_24_streams_a_page_is_live_and_answered_at_once(
        served: Served, shop: Cli, visit: Visit) -> None:
    with streams(served, 24):
        page = visit("/apps/shop")
        expect_live(page)
        shop.do("rollback", "shop")
        expect_serves(page, "v1")
        times = []
        for _ in range(10):
            began = time.monotonic()
            answer = page.request.get("/apps/shop")
            times.append(time.monotonic() - began)
            assert answer.status == 200
        assert median(times) < 1.0, times  # five seconds would be a page that waits for the others
        button(page, "Switch traffic to v2").click()
        expect_serves(page, "v2")


def test_a_page_whose_stream_was_refused_hears_again_soon(served: Served, shop: Cli, visit: Visit) -> None:
    """As behind a proxy while the dashboard restarts."""
    page = visit("/apps/shop", broken=True, allowed={502})
    expect_live(page)
    page.context.route("**/events*", lambda route: route.fulfill(status=502), times=1)
    served.kill()
    served.start()
    connection_words(page, "Polling every 5 s", 20_000)
    expect_live(page)


def test_a_killed_dashboard_is_told_and_recovers_with_what_is_so(served: Served, shop: Cli, visit: Visit) -> None:
    """Its death loses no request, and what it had begun is finished or reverted by the next one."""
    shop.write("shop", health={**HEALTH, "deadline": "120s"})  # it is still in progress when the dashboard is killed
    page = visit("/apps/shop", broken=True, allowed={404})  # an operation goes with its process
    expect_live(page)
    with shop.visitors("shop", 50) as visitors:
        button(page, "Deploy a version").click()
        dialog(page).get_by_role("combobox", name="Version").fill("sick")
        dialog(page).get_by_label("Another image").fill("dctl-test/neverhealthy:v1")
        dialog(page).get_by_role("button", name="Deploy").click()
        expect(page.locator("ol.stepper")).to_be_visible(timeout=SOON)
        served.kill()
        connection_words(page, re.compile(r"^Reconnecting… data from \d\d:\d\d:\d\d"), 20_000)
        expect(page.locator("html")).to_have_class(re.compile(r"\bold\b"), timeout=20_000)
        button(page, "Abort and roll back to v1").click()  # the page is old, so a click asks first
        expect(dialog(page).get_by_role("heading")).to_contain_text("although this page is out of date?")
        dialog(page).get_by_role("button", name="Cancel").click()
        shop.do("rollback", "shop", "--abort")
        served.start()
        expect_live(page)
        expect_serves(page, "v1")
        expect(page.locator("ol.stepper")).to_have_count(0, timeout=20_000)
        expect(page.locator("html")).not_to_have_class(re.compile(r"\bold\b"))
    assert visitors.count.lost == 0, visitors.count.sentence
    assert shop.active("shop") == "v1"


def test_a_click_after_the_dashboard_was_started_anew_works_without_reloading(served: Served, shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", broken=True)
    expect_live(page)
    served.kill()
    served.start()
    expect_live(page)
    button(page, "Roll back to v1").click()
    expect_serves(page, "v1")
    expect_toast(page, "Traffic is on v1.")


def test_the_end_of_the_dashboard_does_not_wait_for_open_pages(served: Served, shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", broken=True)
    expect_live(page)
    with streams(served, 10):
        took = served.stop()
    served.start()
    assert took < 6.0, took
    expect_live(page)


def test_a_container_that_hangs_shows_within_seconds_and_so_does_that_it_is_well_again(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    container = shop.inspect("shop", "v2")["Id"]
    shop.api.kill(container, signal="SIGSTOP")
    try:
        expect_pill(page, re.compile("^(Down|Degraded)$"))
        expect(page).to_have_title(re.compile(r"^! shop"))
        expect(page.locator(".notice").first).to_contain_text("v2")
        expect(page.locator(".roll.go")).to_contain_text("Roll back to v1")  # the one button is loud now
    finally:
        shop.api.kill(container, signal="SIGCONT")
    expect_pill(page, "Healthy")
    expect(page).to_have_title("shop · deployctl")


def test_a_container_that_was_killed_serves_again_and_the_page_says_healthy(shop: Cli, visit: Visit) -> None:
    page, was = visit("/apps/shop"), shop.inspect("shop", "v2")["State"]["Pid"]
    expect_live(page)
    shop.api.kill(shop.inspect("shop", "v2")["Id"])
    wait_until(lambda: shop.inspect("shop", "v2")["State"]["Pid"] not in {0, was}, what="the container")
    expect_pill(page, "Healthy")
    expect_serves(page, "v2")
    assert shop.get("shop").version == "v2"
