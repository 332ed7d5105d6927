"""A real Chromium, the system's own, and what it complains about: nothing a page does wrong passes unseen."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    ViewportSize,
)
from playwright.sync_api import Error as PlaywrightError

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")  # the same as in bin/setup
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--force-color-profile=srgb", "--font-render-hinting=none")
WIDE, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
PATIENCE = 10_000.0  # milliseconds for what a page should show
JUDGED_ELSEWHERE = (
    "Failed to load resource",  # by its status
    "Form submission canceled because the form is not connected",  # a click on what was just replaced: it must do nothing
)
# Chromium drops what it is just loading when an interface of the machine comes or goes, as each container's does.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
GIVEN_UP = ("net::ERR_ABORTED", "NS_BINDING_ABORTED")  # by the page itself, because it goes elsewhere


def find_chromium() -> str | None:
    named = os.environ.get("DEPLOYCTL_CHROMIUM")
    return next((path for name in (named, *NAMES) if name and (path := shutil.which(name))), None)


@contextmanager
def browser(playwright: Playwright, path: str) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
    try:
        yield started
    finally:
        started.close()


def watching(page: Page) -> Watched:
    """Return what watches that page."""
    return _WATCHING[page.context]


@dataclass
class Watched:
    """What went wrong in the pages of one context. `allowed` are HTTP statuses that the test provokes; with `broken`
    the server goes away on purpose, and connections may break."""

    home: str
    allowed: set[int] = field(default_factory=set)
    broken: bool = False
    shaken: bool = False  # see NETWORK_CHANGED
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        _WATCHING[context] = self
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(text in message.text for text in JUDGED_ELSEWHERE):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.complaints.append(f"a request to somebody else: {request.url}")

    def _failed(self, request: Request) -> None:
        self.shaken = self.shaken or request.failure == NETWORK_CHANGED
        if not self.broken and request.failure not in {NETWORK_CHANGED, *GIVEN_UP}:
            self.complaints.append(f"{request.method} {urlsplit(request.url).path} failed: {request.failure}")

    def _response(self, answer: Response) -> None:
        if answer.status >= 400 and answer.status not in self.allowed:
            self.complaints.append(f"{answer.request.method} {urlsplit(answer.url).path}: {answer.status}")

    def go(self, page: Page, path: str) -> None:
        """Open that page; once more when Chromium dropped a part of it because the machine's network changed."""
        for _ in range(3):
            self.shaken = False
            try:
                page.goto(path)
                page.wait_for_load_state("load")
            except PlaywrightError as e:
                if NETWORK_CHANGED not in e.message:
                    raise
                continue
            if not self.shaken:
                return

    def steadily(self, act: Callable[[], object]) -> None:
        """Do it; again when it failed and Chromium had dropped something because the machine's network changed."""
        for last in (False, False, True):
            self.shaken = False
            try:
                act()
            except (AssertionError, PlaywrightError):
                if last or not self.shaken:
                    raise
            else:
                return

    def require_nothing(self) -> None:
        found = [line for line in self.complaints if not (self.broken and re.search("ERR_|ECONN", line))]
        assert found == [], "\n".join(found)


_WATCHING: WeakKeyDictionary[BrowserContext, Watched] = WeakKeyDictionary()


def new_context(started: Browser, home: str, *, phone: bool = False, dark: bool = False, js: bool = True,
                reduced: bool = True) -> BrowserContext:
    """Return a context of its own: no cookie, no storage, no motion unless asked for."""
    more: dict[str, Any] = {"has_touch": True} if phone else {}
    context = started.new_context(base_url=home, viewport=PHONE if phone else WIDE, java_script_enabled=js, locale="en-GB",
                                  timezone_id="UTC", color_scheme="dark" if dark else "light", device_scale_factor=1,
                                  reduced_motion="reduce" if reduced else "no-preference", **more)
    context.set_default_timeout(PATIENCE)
    return context


def texts(page: Page, selector: str) -> Sequence[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]
