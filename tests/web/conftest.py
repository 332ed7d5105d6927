"""One Chromium for all tests of this folder, one served home for each file, a context of its own for each visitor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NoReturn, Protocol

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.e2e.cli import Cli
from tests.images import ensure_images
from tests.web import chromium as system
from tests.web.chromium import Watched, new_context
from tests.web.served import ADMIN, Served, served_home

PATIENT = ("--lock-wait", "20s")  # the watcher may be mending what the test before has left


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. In CI and in `bin/test` it is owed."""
    path = system.find_chromium() or give_up("no Chromium on this machine: bin/setup --dev installs it or says how")
    with sync_playwright() as playwright, system.browser(playwright, path) as started:
        yield started


def give_up(why: str) -> NoReturn:
    if os.environ.get("CI") == "true" or os.environ.get("DEPLOYCTL_REQUIRE_BROWSER"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@pytest.fixture(scope="package")
def images(engine_url: str) -> None:
    """Good versions v1 to v3 of `web`, and some that are slow or never healthy."""
    ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), ("neverhealthy", "v1"), ("slowstart", "v1"),
                  base_url=engine_url)


@pytest.fixture(scope="module")
def served(engine_url: str, images: None) -> Iterator[Served]:
    with served_home(engine_url) as made:
        yield made


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, served: Served) -> Callable[[str], StorageState]:
    """Return the cookies of that user, who signs in by a link the first time: five in a minute is all that is allowed."""
    known: dict[str, StorageState] = {}

    def state(name: str) -> StorageState:
        if name not in known:
            with new_context(chromium, served.base) as context:
                page = context.new_page()
                page.goto(served.link(name))
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url(f"{served.base}/")
                known[name] = context.storage_state()
        return known[name]

    return state


class Visit(Protocol):
    def __call__(self, path: str = "/", *, who: str | None = ADMIN, allowed: set[int] = ..., **how: Any) -> Page: ...


@pytest.fixture
def visit(chromium: Browser, served: Served, signed_in: Callable[[str], StorageState]) -> Iterator[Visit]:
    """Open a page as that user, in a context of its own; `page.context.new_page()` is another tab. At the end of the
    test nothing may have gone wrong in any of them but the statuses that were allowed."""
    with ExitStack() as stack:
        def go(path: str = "/", *, who: str | None = ADMIN, allowed: set[int] = frozenset(), **how: Any) -> Page:  # type: ignore[assignment]
            broken = how.pop("broken", False)
            context = stack.enter_context(new_context(chromium, served.base, **how))
            watched = Watched(served.base, {*allowed}, broken)
            stack.callback(watched.require_nothing)
            watched.watch(context)
            if who is not None:
                context.add_cookies(signed_in(who)["cookies"])  # type: ignore[arg-type]  # what one gives, the other takes
            page = context.new_page()
            watched.go(page, path)
            return page

        yield go


@pytest.fixture(scope="module")
def _shop_once(served: Served) -> None:
    served.cli.write("shop")
    for version in ("v1", "v2"):
        served.cli.do("upgrade", "shop", version)


@pytest.fixture
def shop(served: Served, _shop_once: None) -> Cli:
    """shop serves v2, v1 stands by warm, nothing is on hold. Returns the command line of its home."""
    served.cli.write("shop")
    put_back(served.cli)
    return served.cli


def put_back(cli: Cli) -> None:
    """Do no more than is needed: the ledger itself is asked first, a command takes its time."""
    for version in _versions(cli, "hold_at is not null"):
        cli.do("unhold", "shop", version, *PATIENT)
    if _versions(cli, "number = (select active from apps where name = 'shop')") == {"v2"} and \
            _versions(cli, "number in (select release from instances where app = 'shop' and routed)") == {"v1", "v2"}:
        return
    for version in ("v1", "v2"):
        cli.do("upgrade", "shop", version, *PATIENT)


def _versions(cli: Cli, such: str) -> set[str]:
    return {str(row[0]) for row in cli.rows(f"select version from releases where app = 'shop' and {such}")}
