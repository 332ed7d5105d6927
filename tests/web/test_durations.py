"""What a page keeps current by itself reads as the server wrote it."""

from __future__ import annotations

from base64 import b64encode

from playwright.sync_api import Browser

from deployctl.domain.durations import ago, stopwatch
from deployctl_web.pages.parts.times import LEAST_SECONDS
from tests.guards import tree

SCRIPT = tree.ROOT / "web" / "deployctl_web" / "static" / "js" / "dom.js"
AGES = (0, 5, 59, 60, 61, 119, 120, 3599, 3600, 7199, 7200, 86_399, 86_400, 172_799, 172_800, 10**7)


def test_a_page_that_ticks_says_what_the_server_says(chromium: Browser) -> None:
    module = f"data:text/javascript;base64,{b64encode(SCRIPT.read_bytes()).decode()}"
    page = chromium.new_page()
    try:
        shown = page.evaluate(
            """async ([module, ages]) => {
              const {ago, stopwatch} = await import(module), now = Date.now();
              Date.now = () => now;
              return ages.map(age => [ago(new Date(now - 1000 * age).toISOString()), stopwatch(age + .9)]);
            }""", [module, AGES])
    finally:
        page.close()
    assert shown == [[ago(age, least=LEAST_SECONDS), stopwatch(age + 0.9)] for age in AGES]
