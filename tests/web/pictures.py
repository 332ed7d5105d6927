"""The pictures of docs/: real pages of a real home with visitors, ten minutes of them. `bin/pictures` takes them again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from deployctl.demo.load_image import load_images, unload_images
from deployctl.demo.webapp_image import webapp_image
from tests import machine
from tests.e2e.cli import Cli, wait_until
from tests.images import CACHE
from tests.support import engine_address
from tests.web.chromium import WIDE, browser, find_chromium
from tests.web.pages import SOON, button, dialog, expect_live, expect_pill, expect_serves, expect_toast
from tests.web.served import Served, served_home
from tests.web.visits import SignedIn, Visit, visits

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST = 250_000  # bytes of one file
VERSIONS = {"v39": "", "v40": "", "v41": "", "v42": "1/24"}  # version → defect
RATE = 60.0  # visitors a second
QUIET, TROUBLE = 420, 150  # seconds that the charts show of the one before, and of the one with the bug
HEIGHTS = {"light": 1330, "dark": 1330, "mobile": 1500}  # of the others: a screen


@contextmanager
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


def take_the_page_when_it_is_not_fine(visit: Visit) -> None:
    for name in ("light", "dark", "mobile"):
        page = visit("/apps/shop", dark=name == "dark", phone=name == "mobile")
        expect_live(page)
        expect_pill(page, "Degraded")
        expect(page.locator("[data-metric=cpu]").first).not_to_have_text("–", timeout=SOON)
        take(page, name)


def take_the_question_before_a_cold_rollback(visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    page.locator("#lower").get_by_role("link", name="Roll back to v40").click()
    expect(dialog(page)).to_be_visible()
    take(page, "dialog")
    page.keyboard.press("Escape")


def take_a_deploy_in_progress(story: Cli, visit: Visit) -> None:
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


def take_what_one_click_does(visit: Visit) -> None:
    page = visit("/apps/shop")
    expect_live(page)
    button(page, "Roll back to v41").click()
    expect_serves(page, "v41")
    expect_toast(page, "Traffic is on v41.", "no request was lost")
    take(page, "back")


def main() -> int:
    """Take them all; 1 where there is no Chromium."""
    path = find_chromium()
    if path is None:
        print("No Chromium on this machine: bin/setup --dev installs it or says how.", file=sys.stderr)
        return 1
    with machine.presence(guard=True), served_home(engine_address()) as served, story(served) as cli, \
            sync_playwright() as playwright, browser(playwright, path) as chromium, \
            visits(chromium, served, SignedIn(chromium, served)) as visit:
        take_the_page_when_it_is_not_fine(visit)
        take_the_question_before_a_cold_rollback(visit)
        take_a_deploy_in_progress(cli, visit)
        take_what_one_click_does(visit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
