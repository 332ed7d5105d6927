"""Open pages whose reader loses the right to them. In a home of their own: few sign-ins a minute are allowed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.pages import expect_live
from tests.web.served import Served
from tests.web.visits import Visit

pytestmark = pytest.mark.usefixtures("shop")


def test_an_open_page_is_left_when_a_command_ends_its_session(served: Served, visit: Visit) -> None:
    served.cli.do("user", "add", "tess", "--role", "viewer")
    page = visit("/apps/shop", who="tess", allowed={401})
    expect_live(page)
    served.cli.do("user", "end", "tess")
    expect(page.get_by_role("heading", name="Sign in first")).to_be_visible(timeout=6_000)
    expect(page.get_by_text("v1")).to_have_count(0)


def test_an_open_page_shows_no_app_that_a_command_took_away(served: Served, visit: Visit) -> None:
    served.cli.do("user", "add", "timo", "--role", "viewer")
    page = visit("/", who="timo")
    expect_live(page)
    expect(page.get_by_role("link", name="shop")).not_to_have_count(0)
    served.cli.do("user", "role", "timo", "none")
    expect(page.get_by_role("link", name="shop")).to_have_count(0, timeout=6_000)
