"""One Chromium for all tests of this folder, one served home for each file, a context of its own for each visitor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.cli import Cli
from tests.images import ensure_images
from tests.web import chromium as system
from tests.web.served import Served, served_home
from tests.web.visits import SignedIn, Visit, visits

PATIENT = ("--lock-wait", "20s")  # the watcher may be repairing what the test before has left


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
def signed_in(chromium: Browser, served: Served) -> SignedIn:
    return SignedIn(chromium, served)


@pytest.fixture
def visit(chromium: Browser, served: Served, signed_in: SignedIn) -> Iterator[Visit]:
    with visits(chromium, served, signed_in) as go:
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
