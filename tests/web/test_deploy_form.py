"""The deploy form with the tags on the server, the links of an app, and the way to the API's documentation."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.cli import Cli
from tests.web.pages import SOON, button, dialog, expect_serves
from tests.web.visits import Visit

SLOW = "dctl-test/slowstart:v1"  # another repository: the form offers what is of the app's own


@pytest.mark.parametrize("js", [True, False], ids=["with JavaScript", "without"])
def test_a_tag_on_the_server_is_chosen_with_what_it_will_change_and_deployed(shop: Cli, visit: Visit, js: bool) -> None:
    page = visit("/apps/shop", js=js)
    button(page, "Deploy a version").click()
    place = dialog(page) if js else page.locator("main")
    tags = place.get_by_role("region", name="Tags on this server")
    expect(tags.get_by_role("row", name=re.compile("^v2 Live"))).to_be_visible(timeout=SOON)
    tags.get_by_role("link", name="v1", exact=True).click()
    place = dialog(page) if js else page.locator("main")
    expect(place.get_by_role("heading", name="What v1 will change")).to_be_visible(timeout=SOON)
    expect(place.get_by_label("Version", exact=True)).to_have_value("v1")
    place.get_by_role("button", name="Deploy").click()
    expect_serves(page, "v1")
    assert shop.active("shop") == "v1"


def test_an_app_is_opened_and_its_versions_are_previewed(shop: Cli, visit: Visit) -> None:
    page = visit("/apps/shop", js=False)
    port = {one["version"]: one["port"] for one in shop.app("shop")["instances"]}
    expect(page.get_by_role("link", name="Open", exact=True)).to_have_attribute("href", re.compile(r"^http://127\.0\.0\.1:\d+/$"))
    expect(page.get_by_role("link", name=f"Preview v1 on port {port['v1']}")).to_have_attribute(
        "href", f"http://127.0.0.1:{port['v1']}/")


def test_the_settings_lead_to_the_documentation_of_the_api(shop: Cli, visit: Visit) -> None:
    page = visit("/settings", js=False)
    page.get_by_role("link", name="API documentation").click()
    expect(page.get_by_role("heading", name="API", exact=True)).to_be_visible()
