"""axe finds nothing, on no page, in no state, in neither theme, wide or on a phone; and nothing is wider than the phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from deployctl.domain.host.access import Role, given
from deployctl.usecases.access.users import add_user, make_link
from tests.unit.web_routes import all_routes
from tests.unit.web_world import Site
from tests.web.chromium import PHONE, WIDE, Watched, new_context, watching
from tests.web.gallery import STATES, deploying, empty_home, in_state, not_deployed
from tests.web.pages import SOON, button, dialog, expect_live, expect_serves, expect_toast, told

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async tags => {
    const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']});
    const where = one => one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ');
    return found.violations.map(one => `${one.id}: ${one.help}: ${where(one)}`);
}"""
PLACES = [(name, size, scheme) for name, size in (("wide", WIDE), ("phone", PHONE)) for scheme in ("light", "dark")]


def complaints(page: Page, what: str) -> list[str]:
    """Return what axe finds in both themes and both widths, and whether something is wider than the screen."""
    page.evaluate(AXE)
    found = []
    for name, size, scheme in PLACES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of the two words
        found += [f"{what}, {name}, {scheme}: {line}" for line in page.evaluate(RUN, TAGS)]
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        if wide > size["width"]:
            found.append(f"{what}, {name}, {scheme}: it is {wide} pixels wide")
    page.set_viewport_size(WIDE)
    return found


@contextmanager
def visitor(chromium: Browser, site: Site, name: str = "mara", role: Role | None = Role.ADMIN, *apps: str,
            allowed: frozenset[int] = frozenset(), broken: bool = False) -> Iterator[Page]:
    """Yield the page of somebody signed in there; nothing may go wrong in it."""
    with new_context(chromium, site.web_state.place.base) as context:
        watched = Watched(site.web_state.place.base, set(allowed), broken)
        watched.watch(context)
        page = context.new_page()
        if role is not None:
            if site.w.ledger.find_user(name) is None:
                add_user(name, given(role, apps), site.w.s)
            watched.go(page, f"/start/{make_link(name, site.w.s)}")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{site.web_state.place.base}/")
        yield page
        watched.require_nothing()


def go(page: Page, path: str) -> None:
    watching(page).go(page, path)


# -- every page -------------------------------------------------------------------------------------------------------
QUERIES = {"ask.ask": ("verb=rollback&to=v1", "verb=stop&to=v2", "verb=prune"), "version.compare": ("a=v1&b=v2", ""),
           "logs.page": ("", "q=ERROR", "q=nothing-like-that"), "activity.page": ("", "app=shop"),
           "ask.deploy": ("", "verb=start")}
NO_PAGES = {"static", "stream.events"}


def test_every_page_for_people_that_are_signed_in(chromium: Browser, tmp_path: Path) -> None:
    found: list[str] = []
    seen = set()
    with in_state(tmp_path, "healthy") as site, visitor(chromium, site) as page:
        for route in all_routes():
            if "GET" not in route.methods or route.endpoint in NO_PAGES or route.endpoint.startswith("sign_in."):
                continue
            for query in QUERIES.get(route.endpoint, ("",)):
                path = f"{route.path()}?{query}".rstrip("?")
                if "<main" not in page.request.get(path).text():
                    continue  # a piece of a page, a file, or for programs
                go(page, path)
                seen.add(route.endpoint)
                found += complaints(page, path)
    assert {"apps.home", "app.one", "version.page", "version.compare", "logs.page", "activity.page", "server.page",
            "settings.page", "ask.ask", "ask.deploy", "api_docs.page"} <= seen
    assert found == [], "\n".join(found)


def test_every_page_for_strangers_and_every_refusal(chromium: Browser, tmp_path: Path) -> None:
    found: list[str] = []
    with in_state(tmp_path, "healthy") as site:
        with visitor(chromium, site, role=None, allowed=frozenset({401})) as page:
            for path in ("/login", "/start/xxxxxxxxxxxxxxxx", "/apps/shop"):
                go(page, path)
                found += complaints(page, path)
            go(page, "/login")
            page.get_by_label("Name").fill("nobody")
            page.get_by_label("Password").fill("wrong wrong wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_be_visible()
            found += complaints(page, "a refused sign-in")
        with visitor(chromium, site, allowed=frozenset({400, 404, 405})) as page:
            for path in ("/no/such/page", "/apps/nothing", "/apps/shop/versions/nothing", "/apps/shop/rollback",
                         "/apps/shop/ask?verb=nothing"):
                go(page, path)
                found += complaints(page, path)
    assert found == [], "\n".join(found)


# -- every state of an app --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", STATES)
def test_the_page_of_an_app_in_each_state(chromium: Browser, tmp_path: Path, state: str) -> None:
    found: list[str] = []
    with in_state(tmp_path, state) as site, visitor(chromium, site) as page:
        for path in ("/apps/shop", "/"):
            go(page, path)
            page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true")
            found += complaints(page, f"{path} {state}")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEPLOYER])
def test_the_pages_of_somebody_who_may_less(chromium: Browser, tmp_path: Path, role: Role) -> None:
    found: list[str] = []
    with in_state(tmp_path, "failed deploy") as site, visitor(chromium, site, "grace", role, "shop") as page:
        for path in ("/", "/apps/shop", "/apps/shop/versions/v1", "/settings", "/activity"):
            go(page, path)
            found += complaints(page, f"{path} as {role}")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("home", [empty_home, not_deployed], ids=lambda home: home.__name__)
def test_a_home_where_nothing_was_deployed(chromium: Browser, tmp_path: Path,
                                           home: Callable[[Path], AbstractContextManager[Site]]) -> None:
    with home(tmp_path) as site, visitor(chromium, site) as page:
        found = complaints(page, "/")
        go(page, "/server")
        found += complaints(page, "/server")
    assert found == [], "\n".join(found)


def test_a_deploy_that_is_under_way(chromium: Browser, tmp_path: Path) -> None:
    with ExitStack() as stack:
        site = stack.enter_context(in_state(tmp_path, "healthy"))
        stack.enter_context(deploying(site))
        page = stack.enter_context(visitor(chromium, site))
        go(page, "/apps/shop")
        expect(page.locator("ol.stepper li.now")).to_be_visible()
        found = complaints(page, "deploying")
        go(page, "/apps/shop/deploy")
        found += complaints(page, "another deploy meanwhile")
    assert found == [], "\n".join(found)


# -- what opens over a page -------------------------------------------------------------------------------------------
def test_dialogs_menus_and_the_palette(chromium: Browser, tmp_path: Path) -> None:
    found: list[str] = []
    with in_state(tmp_path, "no warm standby") as site, visitor(chromium, site) as page:
        for key, what in (("r", "the question before a cold rollback"), ("d", "the form to deploy"), ("?", "the list of keys"),
                          ("Control+k", "the palette")):
            watching(page).steadily(lambda key=key: open_by(page, key))  # type: ignore[misc]
            found += complaints(page, what)
        go(page, "/apps/shop")
        page.get_by_label("More actions").click()
        found += complaints(page, "the menu of the app")
        go(page, "/apps/shop")
        page.get_by_label("Signed in as mara: menu").click()
        found += complaints(page, "the menu of the person")
    assert found == [], "\n".join(found)


def open_by(page: Page, key: str) -> None:
    """Press the key on a page that hears the stream: none of its pieces is replaced while the dialog opens."""
    go(page, "/apps/shop")
    expect_live(page)
    page.keyboard.press(key)
    expect(dialog(page)).to_be_visible(timeout=SOON)
    if key == "Control+k":
        expect(dialog(page).get_by_role("option").nth(4)).to_be_visible(timeout=SOON)


def test_a_toast_a_refusal_and_a_page_that_hears_nothing(chromium: Browser, tmp_path: Path) -> None:
    with in_state(tmp_path, "healthy") as site:
        with visitor(chromium, site, allowed=frozenset({409, 412})) as page:
            go(page, "/apps/shop")
            expect_live(page)
            button(page, "Roll back to v1").click()
            expect_toast(page, "Traffic is on v1.", "Undo")
            found = complaints(page, "a toast")
            expect_serves(page, "v1")
        with visitor(chromium, site, allowed=frozenset({409, 412})) as page:
            page.route("**/apps/shop/live", lambda route: route.abort("aborted"))
            page.route("**/events*", lambda route: route.abort("aborted"))
            go(page, "/apps/shop")
            site.w.undo()
            button(page, "Switch traffic to v2").click()
            expect(told(page)).to_be_visible()
            found += complaints(page, "a stale click")
        with visitor(chromium, site, broken=True) as page:
            go(page, "/apps/shop")
            page.route("**/*", lambda route: route.abort("failed"))
            page.evaluate("document.documentElement.dataset.conn = 'lost'; document.documentElement.classList.add('old')")
            found += complaints(page, "a page that is old")
    assert found == [], "\n".join(found)
