"""An engine that takes its containers along is restarted or killed: nobody else could serve, and all serve again when it
is back. No watcher is there to help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.e2e.cli import wait_until
from tests.faults.beside import Engineered, killed, needs_engine, restarted, town_beside
from tests.faults.matrix import IDLE, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.second_engine import SecondEngine
from tests.faults.town import BLOG, SHOP, Town

HONEST = (0, 1, 4, 7, 9)
MET = dict.fromkeys(("health check", "before the switch", "switched", "promoted", IDLE), (HONEST, "either"))
HARM: dict[str, Engineered] = {
    "engine restarted, without live-restore": restarted,
    "engine killed and started, without live-restore": killed,
}


@pytest.fixture(scope="module")
def fleeting() -> Iterator[tuple[Town, SecondEngine]]:
    with town_beside(live_restore=False) as found:
        yield found


@needs_engine
@pytest.mark.parametrize("cell", cells(
    *across("engine restarted, without live-restore", MET, may_lose=True),
    *across("engine killed and started, without live-restore", {IDLE: MET[IDLE], **MET}, may_lose=True)))
def test_containers_that_ended_with_their_engine_come_back_with_it(fleeting: tuple[Town, SecondEngine], book: Book,
                                                                   cell: Cell) -> None:
    town, engine = fleeting

    @contextmanager
    def harm(town: Town) -> Iterator[None]:
        with HARM[cell.fault](engine, town):
            yield
        for app in (SHOP, BLOG):
            await_answer(town, app)

    run_cell(town, book, cell, harm, visitors=(SHOP,))


def await_answer(town: Town, app: str) -> None:
    wait_until(lambda: town.get(app).status == 200, what=f"an answer of {app} after its engine")


# -- siblings ---------------------------------------------------------------------------------------------------------
API: dict[str, Any] = {"port": 8080, "health": {"path": "/healthz", "rise": 1}}


@needs_engine
@pytest.mark.parametrize("how", HARM.values(), ids=HARM.keys())
def test_after_the_engine_came_back_each_version_asks_its_own(fleeting: tuple[Town, SecondEngine], how: Engineered) -> None:
    town, engine = fleeting
    town.serving("pair", "v1", needs={"api": "healthy"}, components={"api": API})
    town.do("upgrade", "pair", "v2")
    with how(engine, town):
        pass
    for version in ("v1", "v2"):
        wait_until(partial(answers_whole, town, version), what=f"the api of {version}")
        assert {asked(town, version) for _ in range(100)} == {(version, version)}


def answers_whole(town: Town, version: str) -> bool:
    return asked(town, version) == (version, version)


def asked(town: Town, version: str) -> tuple[str, str] | None:
    """Ask the web of that version, which asks its api; return the versions of both, None while one does not answer."""
    answer = town.get("pair", "/sibling?of=api", X_Deployctl_Version=version)
    if answer.status != 200:
        return None
    web, api = json.loads(answer.body)
    return web["version"], api["version"]
