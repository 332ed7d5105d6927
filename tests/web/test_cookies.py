"""A real browser that is signed in to a real dashboard opens an app under the same host name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.proxies import SHOP
from tests.raw_app import Shop, opened_shop
from tests.web.chromium import new_context
from tests.web.served import ADMIN, Served
from tests.web.visits import SignedIn, Visit


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened_shop() as made:
        yield made


@pytest.fixture
def context(chromium: Browser, served: Served, signed_in: SignedIn) -> Iterator[BrowserContext]:
    with new_context(chromium, served.base) as made:
        made.add_cookies(signed_in(ADMIN)["cookies"])  # type: ignore[arg-type]  # what one gives, the other takes
        yield made


def session(context: BrowserContext) -> tuple[str, str]:
    """Return name and value of the cookie that signs the browser in."""
    [found] = [one for one in context.cookies() if one["name"].startswith("deployctl_") and one["name"].count("_") == 1]
    return found["name"], found["value"]


def test_an_app_neither_gets_the_session_nor_takes_its_place(served: Served, shop: Shop, context: BrowserContext) -> None:
    name, value = session(context)
    shop.app.headers = [f"Set-Cookie: {name}=evil; Path=/".encode(), b"Set-Cookie: mine=1; Path=/", b"Set-Cookie: theme=app"]
    page = context.new_page()
    for _ in range(2):
        page.goto(f"http://127.0.0.1:{shop.world.port(SHOP)}/")
    assert shop.app.cookies() == [b"mine=1; theme=app"]
    assert not any(value.encode() in request for request in shop.app.requests)
    assert session(context) == (name, value)
    page.goto(f"{served.base}/settings")
    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()


def test_a_page_of_an_app_is_told_nothing_of_a_one_time_link(served: Served, shop: Shop, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(served.link(ADMIN))
    page.evaluate(f"location.href = 'http://127.0.0.1:{shop.world.port(SHOP)}/'")
    page.wait_for_url(f"http://127.0.0.1:{shop.world.port(SHOP)}/")
    [asked] = [request for request in shop.app.requests if request.startswith(b"GET / ")][-1:]
    assert b"referer" not in asked.lower()
    assert not any(b"/start/" in request for request in shop.app.requests)


def test_a_form_that_comes_late_asks_once_more_and_then_does_what_was_typed(served: Served, visit: Visit) -> None:
    page = visit("/settings", allowed={403})
    page.get_by_label("Name", exact=True).last.fill("nightly")
    page.get_by_label("Days").fill("7")
    with closing(sqlite3.connect(served.cli.home / "state/ledger.db")) as ledger, ledger:
        ledger.execute("update sign_ins set created_at = '2026-01-01T00:00:00.000Z'")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("h1")).to_have_text("Sign in again")
    page.get_by_label("One-time link of mara").fill("no link of ours")
    page.get_by_role("button", name="Sign in and continue").click()
    expect(page.locator("h1")).to_have_text("Sign in again")
    page.get_by_label("One-time link of mara").fill(served.link(ADMIN))
    page.get_by_role("button", name="Sign in and continue").click()
    assert page.locator(".once").inner_text().strip().startswith("dctl_")
    after_7_days = "select substr(expires_at, 1, 10) = date('now', '+7 days') from tokens where name = 'nightly'"
    assert served.cli.rows(after_7_days) == [(1,)]
