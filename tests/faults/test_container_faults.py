"""Containers that exit, run out of memory, hang or flap, at each phase of an upgrade under load.

What dies by itself takes its own visitors along; as long as another healthy version serves, nobody is lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import docker
import pytest

from tests.e2e.cli import wait_until
from tests.faults.matrix import IDLE, PHASES, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.images import ensure_images

BAD = {"candidate runs out of memory": "memhog", "candidate is never healthy": "neverhealthy",
       "candidate exits immediately": "exitone", "candidate flaps": "crash"}
FAILED = ((1,), "back")
BOTH = (BLOG, SHOP)


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    ensure_images(*((name, "v1") for name in BAD.values()), base_url=engine_url)
    with two_apps(engine_url, keep_stopped=1, resources={"memory": "64m"}) as found:
        yield found


def container_of(town: Town, role: str) -> str:
    """Return the id of what serves, or of the candidate, by the ledger."""
    active = town.rows("select active from apps where name = ?", SHOP)[0][0]
    opened = town.rows("select source, target from deployments where app = ? and finished_at is null", SHOP)
    number = opened[0][1] if role == "candidate" else opened[0][0] if opened else active
    return str(town.rows("select container from instances where app = ? and release = ?", SHOP, number)[0][0])


@contextmanager
def dies(town: Town, role: str) -> Iterator[None]:
    """End its first process from outside, as the kernel would."""
    pid = town.api.inspect_container(container_of(town, role))["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def hangs(town: Town, role: str) -> Iterator[None]:
    """It takes connections and never answers."""
    container = container_of(town, role)
    town.api.pause(container)
    try:
        yield
    finally:
        with suppress(docker.errors.APIError):  # somebody has woken or removed it
            town.api.unpause(container)


HARM = {"dies": dies, "hangs": hangs}


@pytest.mark.parametrize("cell", cells(
    *across("candidate dies", {"health check": FAILED, "before the switch": ((0, 1), "either")}),
    *across("candidate hangs", {"health check": FAILED})))
def test_a_candidate_that_fails_before_the_switch_costs_nobody_anything(town: Town, book: Book, cell: Cell) -> None:
    role, how = cell.fault.split()
    run_cell(town, book, cell, lambda found: HARM[how](found, role))


ALONE = ((0, 1, 4, 9), "either")


@pytest.mark.parametrize("cell", cells(
    *across("candidate dies", {"switched": ALONE, "promoted": ALONE}, may_lose=True),
    *across("active dies", dict.fromkeys(("health check", "before the switch", "switched", "promoted", IDLE), ALONE),
            may_lose=True),
    *across("active hangs", dict.fromkeys(("health check", "before the switch", "promoted"), ALONE), may_lose=True)))
def test_who_serves_and_fails_by_itself_is_started_again_or_left(town: Town, book: Book, cell: Cell) -> None:
    role, how = cell.fault.split()

    @contextmanager
    def harm(found: Town) -> Iterator[None]:
        with HARM[how](found, role):
            yield
        wait_until(lambda: found.get(SHOP).status == 200, what="an answer")

    run_cell(town, book, cell, harm, visitors=BOTH)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_image_never_gets_a_visitor(town: Town, book: Book, fault: str) -> None:
    words = ("upgrade", SHOP, "bad", "--image", f"dctl-test/{BAD[fault]}:v1")

    @contextmanager
    def nothing(found: Town) -> Iterator[None]:
        yield

    cell = Cell(fault, "health check", (1,), "back")
    town.write(SHOP, keep_stopped=1, resources={"memory": "64m"}, health={"path": "/healthz", "rise": 9, "deadline": "3s"})
    ended = run_cell(town, book, cell, nothing, words=words)
    assert ended is not None
    if BAD[fault] == "memhog":
        assert "memory" in ended.ran.message


def test_every_phase_is_met_by_a_container_that_fails() -> None:
    met = {"health check", "before the switch", "switched", "promoted"}
    assert met | {"before the container is created"} == set(PHASES)  # before it there is no candidate
