"""Logs: followed at the bottom only, filtered on the server, and what a container prints is text."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from deployctl.demo.python_layer import ENTRYPOINT
from tests.e2e.cli import Cli
from tests.web.pages import SOON
from tests.web.visits import Visit

WRITE = """
import sys
with open("/proc/1/fd/1", "w") as out:
    for n in range(int(sys.argv[2])):
        out.write(sys.argv[1].replace("#", str(n)) + chr(10))
"""


def say(cli: Cli, text: str, times: int = 1, version: str = "v2") -> None:
    """Let the container of that version print the line so often; # becomes a number."""
    container = next(one["container"] for one in cli.app("shop")["instances"] if one["version"] == version)
    made = cli.api.exec_create(container, [*ENTRYPOINT, "-c", WRITE, text, str(times)])
    cli.api.exec_start(made["Id"])


def lines(page: Page) -> int:
    return page.locator("#log li[data-at]").count()


def at_bottom(page: Page) -> bool:
    return bool(page.locator("#log").evaluate("one => one.scrollHeight - one.scrollTop - one.clientHeight < 24"))


def test_what_is_printed_appears_by_itself_while_one_is_at_the_bottom(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop/logs")
    say(shop, "hello from the container #", 3)
    expect(page.locator("#log")).to_contain_text("hello from the container 2", timeout=SOON)
    say(shop, "line #", 200)
    expect(page.locator("#log")).to_contain_text("line 199", timeout=SOON)
    assert at_bottom(page)


def test_who_scrolls_up_reads_in_peace_and_sees_how_many_lines_are_new(shop: Cli, visit: Visit) -> None:
    say(shop, "old line #", 150)
    page = visit("/apps/shop/logs")
    expect(page.locator("#log")).to_contain_text("old line 149")
    page.locator("#log").evaluate("one => { one.scrollTop = 40 }")
    page.wait_for_timeout(200)
    top = page.locator("#log").evaluate("one => one.scrollTop")
    say(shop, "news #", 30)
    more = page.locator("#log-more")
    expect(more).to_be_visible(timeout=SOON)
    expect(more).to_contain_text("new lines")
    assert page.locator("#log").evaluate("one => one.scrollTop") == top
    more.click()
    expect(page.locator("#log")).to_contain_text("news 29")
    assert at_bottom(page)
    expect(more).to_be_hidden()


def test_a_filter_is_asked_of_the_server_and_stands_in_the_address(shop: Cli, visit: Visit) -> None:
    say(shop, "ERROR RuntimeError: DATABASE_URL is not set")
    say(shop, "all is well")
    page = visit("/apps/shop/logs")
    page.keyboard.press("/")
    page.keyboard.type("database_url")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=database_url"))
    expect(page.locator("#log")).to_contain_text("DATABASE_URL is not set")
    expect(page.locator("#log")).not_to_contain_text("all is well")
    expect(page.locator("#log li.e").first).to_contain_text("error")
    visit("/apps/shop/logs?q=is+well", within=page)
    expect(page.locator("#log")).to_contain_text("all is well")
    assert "DATABASE_URL" not in page.locator("#log").inner_text()
    visit("/apps/shop/logs", within=page)
    page.get_by_role("link", name="Errors", exact=True).click()
    page.wait_for_url(re.compile(r"errors=1"))
    expect(page.locator("#log")).to_contain_text("DATABASE_URL is not set")
    assert "all is well" not in page.locator("#log").inner_text()


def test_each_version_has_its_lines(shop: Cli, visit: Visit) -> None:
    say(shop, "said by one", version="v1")
    say(shop, "said by two", version="v2")
    page = visit("/apps/shop/logs")
    page.get_by_role("link", name="v1", exact=True).click()
    expect(page.locator("#log")).to_contain_text("said by one")
    assert "said by two" not in page.locator("#log").inner_text()


def test_what_a_container_prints_is_text(shop: Cli, visit: Visit) -> None:
    """The test's watch complains of any dialog, request or error that it would cause."""
    page = visit("/apps/shop/logs")
    say(shop, "<img src=http://evil.example/x onerror=alert(1)><script>alert(2)</script>")
    say(shop, "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eabc")
    expect(page.locator("#log")).to_contain_text("<script>alert(2)</script>", timeout=SOON)
    expect(page.locator("#log")).to_contain_text("\\x1b[31mred", timeout=SOON)
    assert page.locator("#log img, #log script").count() == 0
    visit("/apps/shop", within=page)
    expect(page.locator("main")).to_contain_text("<script>alert(2)</script>", timeout=SOON)


def test_the_log_is_saved_as_a_file(shop: Cli, visit: Visit) -> None:
    say(shop, "to be kept")
    page = visit("/apps/shop/logs")
    with page.expect_download() as got:
        page.get_by_role("link", name="Download").click()
    assert got.value.suggested_filename == "shop.log"
    assert "to be kept" in got.value.path().read_text()
