"""What a person looks for on the page of an app, by what it says and not by how it is made."""

from __future__ import annotations

import re

from playwright.sync_api import FloatRect, Locator, Page, expect

SOON = 20_000.0  # milliseconds


def live_version(page: Page) -> Locator:
    return page.locator("article.slot.live h3 a")


def button(page: Page, name: str) -> Locator:
    """Return the first button or link that acts, by its whole name."""
    found = page.get_by_role("button", name=name, exact=True)
    return found.or_(page.get_by_role("link", name=name, exact=True)).first


def toast(page: Page) -> Locator:
    return page.locator("#toast")


def told(page: Page) -> Locator:
    """Return the notice of what was refused."""
    return page.locator(".notice.told")


def dialog(page: Page) -> Locator:
    return page.locator("dialog#ask")


def expect_serves(page: Page, version: str) -> None:
    expect(live_version(page)).to_have_text(version, timeout=SOON)


def expect_live(page: Page) -> None:
    """Wait until the page hears the stream: what happens elsewhere is shown from now on."""
    expect(page.locator("html")).to_have_attribute("data-conn", "live", timeout=SOON)


def expect_pill(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("h1 .pill")).to_have_text(text, timeout=SOON)


def expect_toast(page: Page, *texts: str) -> None:
    for text in texts:
        expect(toast(page)).to_contain_text(text, timeout=SOON)


def box_of(found: Locator) -> FloatRect:
    """Return where it is. The page may just be putting a fresh one in its place, so it is asked again."""
    for _ in range(50):
        expect(found).to_be_visible(timeout=SOON)
        box = found.bounding_box()
        if box is not None:
            return box
    raise AssertionError("it does not stay long enough to have a place")


def focused(page: Page) -> str:
    """Return the text of what has the focus."""
    return str(page.evaluate("document.activeElement?.innerText ?? ''")).strip()
