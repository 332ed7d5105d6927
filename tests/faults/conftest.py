"""Images that the fault tests use, and the book of outcomes: DEPLOYCTL_RELIABILITY names the page that it becomes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.outcomes import Book, page
from tests.images import ensure_images

BOOK = Book()


@pytest.fixture(scope="session")
def images(engine_url: str) -> None:
    """Good versions v1 to v3, in the engine."""
    ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine_url)


@pytest.fixture(scope="session")
def book() -> Book:
    return BOOK


def pytest_sessionfinish() -> None:
    """Write the page when it was asked for."""
    if (name := os.environ.get("DEPLOYCTL_RELIABILITY")) and BOOK.outcomes:
        Path(name).write_text(page(BOOK.outcomes))
