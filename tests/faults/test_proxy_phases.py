"""HAProxy killed, frozen, or without its sockets, at each phase of an upgrade and of a rollback.

What `status` and the other verbs do about a HAProxy that is dead before they begin: tests/e2e/test_proxy_faults.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.faults.matrix import IDLE, PHASES, Cell, Harm, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.town import Town, two_apps

GOES_ON = ((0,), "forward")
ALL = dict.fromkeys((*PHASES, IDLE), GOES_ON)
WAY_BACK = dict.fromkeys(("health check", "before the switch", "switched"), GOES_ON)


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


@contextmanager
def all_killed(town: Town) -> Iterator[None]:
    for pid in town.proxies():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def worker_killed(town: Town) -> Iterator[None]:
    (master,) = town.masters()
    os.kill(next(pid for pid in town.proxies() if pid != master), signal.SIGKILL)
    yield


@contextmanager
def removed(town: Town, *names: str) -> Iterator[None]:
    for name in names:
        (town.home / "state/haproxy" / name).unlink(missing_ok=True)
    yield


@contextmanager
def master_frozen(town: Town) -> Iterator[None]:
    """Its worker keeps serving; nothing can ask it to reload."""
    (master,) = town.masters()
    os.kill(master, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(master, signal.SIGCONT)


HARM: dict[str, Harm] = {
    "HAProxy killed": all_killed,
    "HAProxy's worker killed": worker_killed,
    "HAProxy's master hangs": master_frozen,
}
SOCKETS = {"HAProxy's worker socket removed": ("haproxy.sock",), "HAProxy's master socket removed": ("master.sock",),
           "both sockets of HAProxy removed": ("haproxy.sock", "master.sock")}


def harm_of(fault: str) -> Harm:
    return (lambda town: removed(town, *SOCKETS[fault])) if fault in SOCKETS else HARM[fault]


@pytest.mark.parametrize("cell", cells(
    *across("HAProxy killed", ALL, may_lose=True), *across("HAProxy killed", WAY_BACK, may_lose=True, verb="rollback"),
    *across("HAProxy's worker killed", ALL, may_lose=True)))
def test_a_haproxy_that_dies_is_started_again_and_the_verb_goes_on(town: Town, book: Book, cell: Cell) -> None:
    run_cell(town, book, cell, harm_of(cell.fault), visitors=("shop",))


@pytest.mark.parametrize("cell", cells(
    *(one for fault in SOCKETS for one in across(fault, ALL)),
    *(one for fault in SOCKETS for one in across(fault, WAY_BACK, verb="rollback"))))
def test_sockets_that_somebody_removed_cost_no_visitor(town: Town, book: Book, cell: Cell) -> None:
    run_cell(town, book, cell, harm_of(cell.fault))


@pytest.mark.parametrize("cell", cells(*across(
    "HAProxy's master hangs", dict.fromkeys(PHASES, ((0, 1, 4, 7), "either")))))
def test_a_master_that_hangs_stops_no_visitor(town: Town, book: Book, cell: Cell) -> None:
    run_cell(town, book, cell, harm_of(cell.fault))
