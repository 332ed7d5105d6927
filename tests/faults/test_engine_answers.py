"""What the engine says goes wrong: refused, cut, lost, late, an error; once or from some phase on, under load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.beside import make_impatient
from tests.faults.chaos_socket import ChaosSocket, chaos_socket
from tests.faults.invariants import watched
from tests.faults.matrix import GONE, IDLE, LONG, MARKS, PHASES, Cell, across, cells, run_cell
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import count_calls

BACK_SOON = dict.fromkeys((*PHASES, IDLE), ((0,), "forward"))


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        make_impatient(found)
        yield found


@pytest.fixture(scope="module")
def chaos(engine_url: str) -> Iterator[ChaosSocket]:
    with chaos_socket(engine_url) as found:
        yield found


CHANGES = ["POST .*/tag", "POST /containers/create", "POST .*/start", "POST .*/update", "POST .*/stop", "DELETE /containers"]
ONCE = {"lost": "engine's response lost", "cut": "engine's response cut", "refuse": "engine refuses a connection once",
        "error": "engine errs once (500)"}
RETIRING = {"POST .*/stop", "DELETE /containers"}  # what fails after the promotion is a warning


@pytest.mark.parametrize("way", ONCE)
@pytest.mark.parametrize("request_", CHANGES if LONG else CHANGES[1:3])
def test_one_request_that_goes_wrong_costs_a_second_try_or_the_upgrade_and_no_visitor(
        town: Town, chaos: ChaosSocket, book: Book, request_: str, way: str) -> None:
    """An error is a response: it is believed. A caller that was cut off tries again."""
    scenes = Scenes(town)
    scenes.ensure_way_back()
    words = scenes.words("upgrade", f"a{next(MARKS)}")
    method, path = request_.split(" ")
    source = town.route(SHOP)
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
        with chaos.rule(way, method, path, times=1) as rule:
            ran = town.run(*words, env=chaos.env)
        assert rule.struck == 1, chaos.requests[-30:]
        back = way == "error" and request_ not in RETIRING
        assert ran.code == (1 if back else 0), ran
        town.settle()
        assert (town.route(SHOP) == source) is back
        watch.require_kept(town.settle)
    who = "the version before is live" if back else "the requested version is live"
    book.write(Outcome(ONCE[way], path.strip("./*"), f"exit {ran.code}; {who}", watch.sent, watch.lost))


WAYS = {"engine refuses connections from then on": "refuse", "engine errs from then on (500)": "error",
        "engine slow": "delay"}


@pytest.mark.parametrize("cell", cells(
    *across("engine refuses connections from then on", GONE),
    *across("engine errs from then on (500)", {**GONE, "before the container is created": ((1,), "back")}),
    *across("engine slow", BACK_SOON)))
def test_an_engine_that_refuses_or_dawdles_costs_time_and_no_visitor(town: Town, chaos: ChaosSocket, book: Book,
                                                                     cell: Cell) -> None:
    def harm(town: Town) -> object:
        return chaos.rule(WAYS[cell.fault], seconds=0.3)

    run_cell(town, book, cell, harm, env=chaos.env)  # type: ignore[arg-type]


def test_an_upgrade_asks_the_engine_for_every_kind_of_change(town: Town, chaos: ChaosSocket) -> None:
    """The tests above would prove nothing about a request that is never made."""
    words = Scenes(town).words("upgrade", "counted")
    calls = count_calls(town, *words).calls
    assert {call.split()[1] for call in calls if call.startswith("engine")} == {"POST", "DELETE"}
