"""Images that the fault tests use, and the book of outcomes: DEPLOYCTL_RELIABILITY names the page that it becomes.

Under pytest-xdist each worker keeps a book of its own and hands it in when it ends; the page is written by the process
that started them.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults.outcomes import Book, Outcome, page
from tests.images import ensure_images

BOOK = Book()
HANDED_IN = "outcomes"


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
    if not _is_worker() and "tests/faults/" in report.nodeid and (report.failed or hasattr(report, "wasxfail")):
        name, _, cell = report.nodeid.rpartition("::")[2].partition("[")
        why = f"known: {report.wasxfail}" if hasattr(report, "wasxfail") else "the test failed"
        BOOK.write(Outcome(name.removeprefix("test_").replace("_", " "), cell.rstrip("]"), why, kept=False))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker has written."""
    for one in getattr(node, "workeroutput", {}).get(HANDED_IN, ()):
        BOOK.write(Outcome(**one))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand in what this worker has written; or write the page when it was asked for, all workers having ended."""
    if _is_worker():
        session.config.workeroutput[HANDED_IN] = [asdict(one) for one in BOOK.outcomes]  # type: ignore[attr-defined]
    elif (name := os.environ.get("DEPLOYCTL_RELIABILITY")) and BOOK.outcomes:
        Path(name).write_text(page(BOOK.outcomes))


def _is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ
