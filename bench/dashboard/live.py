"""The dashboard: from a click to the other version on the page, its API, its pages with many apps, and its resource
usage.

Clicks are made and timed in a real Chromium against a real `deployctl serve`, with 20 open streams and 200 requests a
second through HAProxy. The pages with many apps are of a home whose Docker and HAProxy are in memory: 400 containers do
not fit here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection

from playwright.sync_api import Page, sync_playwright

from bench.dashboard.many_apps import measure_pages
from bench.served import cpu_share, resident_mb, serving
from bench.table import Row
from bench.world import World
from deployctl.demo.visitors import Visitors
from deployctl.domain.host.access import Role, given
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, make_link
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from tests.support import free_port
from tests.web.chromium import browser, find_chromium, new_context

APP = AppName("clicked")
RATE = 200.0  # requests a second through HAProxy
STREAMS = 20
PAUSE = 0.9  # seconds between two clicks: a button is inert for 0.7 s after a switch

# Resolves with the milliseconds from the click until the page first shows the other version.
TIMED = """() => {
    const live = () => document.querySelector('article.slot.live h3 a')?.textContent, before = live();
    window.timed = new Promise(done => {
        let clicked = 0;
        document.addEventListener('click', () => { clicked = performance.now() }, {capture: true, once: true});
        const seen = new MutationObserver(() => {
            if (live() === before || live() === undefined) return;
            seen.disconnect();
            done({ms: performance.now() - clicked, at: (performance.timeOrigin + performance.now()) / 1000});
        });
        seen.observe(document.querySelector('#live'), {childList: true, subtree: true, characterData: true});
    });
}"""


@dataclass(frozen=True, slots=True)
class Place:
    """The address of the benchmark's dashboard, and a token that may deploy."""

    port: int
    secret: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


def measure(world: World, *, clicks: int, looks: int, apps: int, seconds: float) -> list[Row]:
    """Needs a Chromium."""
    place, url = _prepare(world)
    with serving(world) as pid:
        _wait_answered(place)
        time.sleep(5)  # the watcher's first check is over
        alone = cpu_share(pid, seconds), resident_mb(pid)
        with ExitStack() as stack:
            visitors = stack.enter_context(Visitors(url, RATE))
            stack.enter_context(_streams(place, STREAMS))
            page = stack.enter_context(_page(world, place))
            watched = cpu_share(pid, seconds), resident_mb(pid)
            clicked = [_click(page) for _ in range(clicks)]
            told = [_typed(page, world) for _ in range(clicks)]
            asked = [_posted(place, world) for _ in range(clicks)]
        lost, sent = visitors.count.lost, visitors.count.sent
    beside = f"with {STREAMS} open streams and {RATE:.0f} requests/s"
    return [
        Row(f"click → the page shows the other version, {beside}", "ms", clicked, "p95 < 300", "p95", 300),
        Row(f"lost of {sent:,} requests meanwhile, counted from outside", "requests", [lost], "0", "max", 0),
        Row("POST of a rollback → 200, API", "ms", asked, "p95 < 200", "p95", 200),
        Row("switch by the command line → the page shows it", "ms", told, "p95 < 500", "p95", 500),
        *measure_pages(apps=apps, looks=looks),
        Row(f"serve: share of a core over {seconds:g} s, nobody looks", "%", [alone[0]], "< 3", "max", 3),
        Row(f"serve: the same, {beside} and a page", "%", [watched[0]]),
        Row("serve: resident memory, nobody looks", "MB", [alone[1]], "< 120", "max", 120),
        Row("serve: the same, with all that open", "MB", [watched[1]], "< 150", "max", 150),
    ]


# -- the home -----------------------------------------------------------------------------------------------------------
def _prepare(world: World) -> tuple[Place, str]:
    port = free_port()
    with world.settings.server_file.open("a") as file:
        file.write(f"[web]\nlisten = {port}\n")
    url = f"http://127.0.0.1:{world.add_app(APP)}/"
    s = world.services()
    for version in ("v1", "v2"):
        upgrade(APP, Version(version), s)
    add_user("mara", given(Role.ADMIN, []), s)
    place = Place(port, create_token("bench", given(Role.DEPLOYER, []), s).secret)
    s.close()
    return place, url


def _wait_answered(place: Place) -> None:
    until = time.monotonic() + 20
    while True:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", place.port, timeout=5)) as connection:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        if time.monotonic() > until:
            raise RuntimeError("the dashboard does not answer")
        time.sleep(0.1)


@contextmanager
def _streams(place: Place, number: int) -> Iterator[None]:
    """Keep that many streams open, each read by a thread as a browser would."""
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", place.port, timeout=60)))
            connection.request("GET", f"/events?app={APP}", headers=place.headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"a stream was answered {answer.status}")
            threading.Thread(target=_read_on, args=(answer.fp,), daemon=True).start()
        yield


def _read_on(lines: Iterator[bytes]) -> None:
    with suppress(OSError, ValueError, AttributeError):  # it was closed: the measurement is over
        for _line in lines:
            pass


@contextmanager
def _page(world: World, place: Place) -> Iterator[Page]:
    """Yield the app's page, signed in and live."""
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium on this machine: bin/setup --dev installs it or says how")
    s = world.services()
    link = f"{place.base}/start/{make_link('mara', s)}"
    s.close()
    with sync_playwright() as playwright, browser(playwright, path) as started, \
            new_context(started, place.base) as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{place.base}/")
        page.goto(f"/apps/{APP}")
        page.wait_for_selector("html[data-conn=live]")
        yield page


# -- what is timed --------------------------------------------------------------------------------------------------------
def _click(page: Page) -> float:
    """Click the button, and undo it by the one in the toast. Returns the milliseconds of the first."""
    page.evaluate(TIMED)
    page.get_by_role("button", name="Roll back to v1", exact=True).first.click()
    ms = float(page.evaluate("window.timed")["ms"])
    page.wait_for_timeout(1000 * PAUSE)
    page.evaluate(TIMED)
    page.locator("#undo").click()
    page.evaluate("window.timed")
    page.wait_for_timeout(1000 * PAUSE)
    return ms


def _typed(page: Page, world: World) -> float:
    """Switch as a command does, and return the milliseconds from its end until the page shows it: 0 if that was
    before."""
    s = world.services()
    page.evaluate(TIMED)
    rollback(APP, s)
    done = time.time()
    at = float(page.evaluate("window.timed")["at"])
    page.evaluate(TIMED)
    undo(APP, s)
    page.evaluate("window.timed")
    s.close()
    return max(0.0, 1000 * (at - done))


def _posted(place: Place, world: World) -> float:
    """Roll back by the API on a connection of its own, and undo it; background work of the one before finishes in
    between."""
    took = 0.0
    for verb in ("rollback", "undo"):
        time.sleep(PAUSE)
        s = world.services()
        revision = next(app.revision for app in s.ledger.apps() if app.name == APP)
        s.close()
        with closing(HTTPConnection("127.0.0.1", place.port, timeout=10)) as connection:
            began = time.perf_counter()
            connection.request("POST", f"/api/v1/apps/{APP}/{verb}", json.dumps({"yes": True}), {
                **place.headers, "Content-Type": "application/json", "If-Match": f'"{revision}"'})
            answer = connection.getresponse()
            body = answer.read()
            took = took or 1000 * (time.perf_counter() - began)
        if answer.status != 200:
            raise RuntimeError(f"{verb} was answered {answer.status}: {body.decode()}")
    return took
