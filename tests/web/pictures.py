"""The pictures of docs/: real pages of a real home with visitors, ten minutes of them.

Only who names this file takes them anew: `bin/test tests/web/pictures.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deployctl.demo.load_image import load_images, unload_images
from deployctl.demo.webapp_image import webapp_image
from tests.e2e.cli import Cli, wait_until
from tests.images import CACHE
from tests.support import engine_address
from tests.web.chromium import WIDE
from tests.web.conftest import Visit
from tests.web.pages import SOON, button, dialog, expect_live, expect_pill, expect_serves, expect_toast
from tests.web.served import Served

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST = 250_000  # bytes of one file
VERSIONS = {"v39": "", "v40": "", "v41": "", "v42": "1/24"}  # version → defect
RATE = 60.0  # visitors a second
QUIET, TROUBLE = 420, 150  # seconds that the charts show of the one before, and of the one with the bug
HEIGHTS = {"light": 1330, "dark": 1330, "mobile": 1500}  # of the others: a screen


@pytest.fixture(scope="module")
def story(served: Served) -> Iterator[Cli]:
    """shop: four versions, the last one has a bug, and people keep coming."""
    cli, tags = served.cli, [f"acme/shop:{version}" for version in VERSIONS]
    load_images(engine_address(), *(webapp_image(tag, version=version, color="blue", fault=fault, cache=CACHE)
                                    for tag, (version, fault) in zip(tags, VERSIONS.items(), strict=True)))
    cli.write("shop", image="acme/shop", resources={"memory": "128m"}, keep_warm=1)
    try:
        cli.do("upgrade", "shop", "v39")
        with cli.visitors("shop", RATE):
            for version, note in (("v40", "prices with VAT"), ("v41", "faster search"), ("v42", "a new checkout")):
                cli.do("upgrade", "shop", version, "-m", note)
                if version == "v41":
                    time.sleep(QUIET)
            wait_until(lambda: bool(cli.app("shop")["state"] == "degraded"), within=60, what="the state degraded")
            time.sleep(TROUBLE)
            yield cli
    finally:
        unload_images(engine_address(), *tags)


def take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    FOLDER.mkdir(exist_ok=True)
    path, height = FOLDER / f"{name}.png", HEIGHTS.get(name, 900)
    size = page.viewport_size or WIDE
    page.set_viewport_size({"width": size["width"], "height": height})
    page.wait_for_timeout(200)
    page.screenshot(path=path, animations="disabled", caret="hide")
    assert path.stat().st_size < LARGEST, f"{name}.png has {path.stat().st_size} bytes"


def test_pictures_of_the_page_when_it_is_not_fine(story: Cli, visit: Visit) -> None:
    for name in ("light", "dark", "mobile"):
        page = visit("/apps/shop", dark=name == "dark", phone=name == "mobile")
        expect_live(page)
        expect_pill(page, "Degraded")
        expect(page.locator("[data-metric=cpu]").first).not_to_have_text("–", timeout=SOON)
        take(page, name)


def test_a_picture_of_the_question_before_a_cold_rollback(story: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    page.locator("#lower").get_by_role("link", name="Roll back to v40").click()
    expect(dialog(page)).to_be_visible()
    take(page, "dialog")
    page.keyboard.press("Escape")


def test_a_picture_of_a_deploy_under_way(story: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    story.write("shop", image="acme/shop", resources={"memory": "128m"}, keep_warm=1,
                health={"path": "/nowhere", "deadline": "20s"})
    typed = story.begin("upgrade", "shop", "v41", "-m", "v41 once more")
    expect(page.locator("ol.stepper li.now", has_text="Health")).to_be_visible(timeout=SOON)
    page.wait_for_timeout(3000)
    take(page, "deploying")
    button(page, "Abort this deployment").click()
    story.ended(typed)
    story.write("shop", image="acme/shop", resources={"memory": "128m"}, keep_warm=1)


def test_a_picture_of_what_one_click_does(story: Cli, visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    button(page, "Roll back to v41").click()
    expect_serves(page, "v41")
    expect_toast(page, "Traffic is on v41.", "no request was lost")
    take(page, "back")
