"""Images that the fault tests use, and the book of outcomes that becomes docs/reliability.md."""

from __future__ import annotations

import pytest

from tests.faults.outcomes import Book
from tests.images import ensure_images

BOOK = Book()


@pytest.fixture(scope="session")
def images(engine_url: str) -> None:
    """Good versions v1 to v3, in the engine."""
    ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine_url)


@pytest.fixture(scope="session")
def book() -> Book:
    return BOOK
