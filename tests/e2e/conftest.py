"""A home for the tests of one file, and images that every file uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cli import Cli, home_of_a_person
from tests.images import ensure_images


@pytest.fixture(scope="session")
def images(engine_url: str) -> None:
    """Good versions v1 to v3, in the engine."""
    ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine_url)


@pytest.fixture(scope="module")
def cli(engine_url: str, images: None) -> Iterator[Cli]:
    with home_of_a_person(engine_url) as found:
        yield found
