"""Images that the fault tests use, and the book of outcomes: DEPLOYCTL_RELIABILITY names the page that it becomes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.outcomes import Book, Outcome, page
from tests.images import ensure_images

BOOK = Book()


@pytest.fixture(scope="session")
def images(engine_url: str) -> None:
    """Good versions v1 to v3, in the engine."""
    ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine_url)


@pytest.fixture(scope="session")
def book() -> Book:
    return BOOK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """But for those over the fakes they need a real engine, and the machine's guard routes."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name != "test_matrix_fakes.py":
            item.add_marker("e2e")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A cell that broke is a line of the page, too; so is one that is known to break."""
    if "tests/faults/" in report.nodeid and (report.failed or hasattr(report, "wasxfail")):
        name, _, cell = report.nodeid.rpartition("::")[2].partition("[")
        why = f"known: {report.wasxfail}" if hasattr(report, "wasxfail") else "the test failed"
        BOOK.write(Outcome(name.removeprefix("test_").replace("_", " "), cell.rstrip("]"), why, kept=False))


def pytest_sessionfinish() -> None:
    """Write the page when it was asked for."""
    if (name := os.environ.get("DEPLOYCTL_RELIABILITY")) and BOOK.outcomes:
        Path(name).write_text(page(BOOK.outcomes))
