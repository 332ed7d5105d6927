"""The disk is full at a phase of an upgrade under load: that of the state, and that of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import machine
from tests.faults.beside import make_impatient, needs_engine
from tests.faults.invariants import watched
from tests.faults.matrix import PHASES, Cell, across, cells, run_cell
from tests.faults.outcomes import Book, Outcome
from tests.faults.second_engine import second_engine
from tests.faults.small_disk import full, small_disk
from tests.faults.town import BLOG, SHOP, Town, town_of, two_apps
from tests.images import ensure_images

needs_root = pytest.mark.skipif(not machine.may_route(), reason="a small disk is mounted, which takes root")


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    """Its state lies on a disk of its own."""
    with ExitStack() as stack:
        found = stack.enter_context(town_of(engine_url))
        stack.enter_context(small_disk(found.home / "state", megabytes=24))
        found.serving(BLOG, "v3")
        found.serving(SHOP, keep_stopped=1)
        found.do("upgrade", SHOP, "v2")
        yield found


@needs_root
@pytest.mark.parametrize("cell", cells(*across("disk of the state full", dict.fromkeys(
    PHASES, ((0, 1, 4, 7), "either")))))
def test_a_full_disk_of_the_state_stops_no_visitor(town: Town, book: Book, cell: Cell) -> None:
    run_cell(town, book, cell, lambda found: full(found.home / "state"))


@needs_engine
def test_a_full_disk_of_the_engine_stops_the_upgrade_and_no_visitor(
        book: Book, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("engine-disk") / "data"
    with small_disk(data, megabytes=160), second_engine(data=data) as engine, engine.inside():
        ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine.url)
        with two_apps(engine.url) as town:
            make_impatient(town)
            with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
                with full(data):
                    ran = town.refused(1, "upgrade", SHOP, "v3")
                    assert "full" in ran.message
                    assert town.active(SHOP) == "v2"
                    assert town.do("rollback", SHOP)["to"] == "v1"
                    assert town.do("undo", SHOP)["to"] == "v2"
                town.settle()
                watch.require_kept(town.settle)
                assert town.do("upgrade", SHOP, "v3")["to"] == "v3"
    book.write(Outcome("disk of the engine full", "before the container is created", "exit 1; the version before is live",
                       watch.sent, watch.lost))
