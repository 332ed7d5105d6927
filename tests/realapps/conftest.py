"""Each app's story runs once per file; the images are built once per run, and removed with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.e2e.cli import home_of_a_person
from tests.realapps.catalogue import APPS, RealApp
from tests.realapps.images import Shelf, shelf
from tests.realapps.story import Story
from tests.realapps.wheels import Unobtainable


@pytest.fixture(scope="session")
def builds(engine_url: str) -> Iterator[Shelf]:
    """The images in the engine. Packages that cannot be had are a failure in CI, and a reason to skip elsewhere."""
    try:
        with shelf(engine_url) as found:
            yield found
    except Unobtainable as e:
        give_up(str(e))


def give_up(why: str) -> NoReturn:
    """End the test: what CI owes is never skipped there."""
    if os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@pytest.fixture(scope="module", params=APPS, ids=lambda app: app.name)
def story(request: pytest.FixtureRequest, engine_url: str, builds: Shelf) -> Iterator[Story]:
    """One app in a home of its own, after all that happened to it."""
    app: RealApp = request.param
    with home_of_a_person(engine_url) as cli:
        told = Story(cli, app, builds)
        told.play()
        yield told
