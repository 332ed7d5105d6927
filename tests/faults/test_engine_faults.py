"""Docker restarted, killed, frozen, refusing, or done without an answer, at each phase of an upgrade under load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.e2e.cli import wait_until
from tests.faults.chaos_socket import ChaosSocket, chaos_socket
from tests.faults.invariants import watched
from tests.faults.matrix import IDLE, Cell, across, cells, run_cell
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.second_engine import SecondEngine, second_engine, why_not
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import count_calls
from tests.images import ensure_images

needs_engine = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PATIENT = '[engine]\ntimeout = "2s"\n'
MOMENT = 1.0  # second


@contextmanager
def town_beside(*, live_restore: bool) -> Iterator[tuple[Town, SecondEngine]]:
    with second_engine(live_restore=live_restore) as engine, engine.inside():
        ensure_images(*(("web", version) for version in ("v1", "v2", "v3")), base_url=engine.url)
        with two_apps(engine.url, keep_stopped=1) as town:
            with (town.home / "config/server.toml").open("a") as server:
                server.write(PATIENT)
            yield town, engine


# -- the engine itself ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[Town, SecondEngine]]:
    """A town whose containers survive their engine."""
    with town_beside(live_restore=True) as found:
        yield found


@pytest.fixture(scope="module")
def fleeting() -> Iterator[tuple[Town, SecondEngine]]:
    """A town whose containers end with their engine."""
    with town_beside(live_restore=False) as found:
        yield found


@contextmanager
def restarted(engine: SecondEngine, town: Town) -> Iterator[None]:
    engine.stop()
    engine.start()
    yield


@contextmanager
def killed(engine: SecondEngine, town: Town) -> Iterator[None]:
    engine.kill()
    engine.start()
    yield


@contextmanager
def away(engine: SecondEngine, town: Town) -> Iterator[None]:
    """Gone until the verb has ended."""
    engine.kill()
    yield
    engine.start()


@contextmanager
def frozen(engine: SecondEngine, town: Town) -> Iterator[None]:
    with engine.frozen():
        yield


@contextmanager
def frozen_for_a_moment(engine: SecondEngine, town: Town) -> Iterator[None]:
    with engine.frozen():
        time.sleep(MOMENT)
    yield


HARM = {
    "engine restarted, live-restore": restarted,
    "engine killed and started, live-restore": killed,
    "engine killed": away,
    "engine hangs": frozen,
    "engine hangs for a moment": frozen_for_a_moment,
}
DONE, ANY = ((0,), "forward"), ((0, 1, 4, 7), "either")
GONE = {"on trial": ((0, 1, 4, 7), "either"), "before the container": ((7,), "back"), "before the switch": ANY,
        "switched": ANY, "promoted": DONE, IDLE: ((0,), "back")}
BACK_SOON = {"on trial": DONE, "before the container": DONE, "before the switch": DONE, "switched": DONE,
             "promoted": DONE, IDLE: DONE}
LASTING = cells(
    *across("engine restarted, live-restore", BACK_SOON),
    *across("engine killed and started, live-restore", BACK_SOON),
    *across("engine killed", GONE),
    *across("engine hangs", GONE),
    *across("engine hangs for a moment", BACK_SOON),
)


@needs_engine
@pytest.mark.parametrize("cell", LASTING)
def test_visitors_never_notice_what_becomes_of_the_engine(lasting: tuple[Town, SecondEngine], book: Book, cell: Cell) -> None:
    town, engine = lasting
    run_cell(town, book, cell, partial(HARM[cell.fault], engine))


@needs_engine
@pytest.mark.parametrize("cell", cells(*across(
    "engine restarted, without live-restore",
    {phase: ((0, 1, 4, 7, 9), "either") for phase in ("on trial", "before the switch", "switched", "promoted", IDLE)},
    may_lose=True)))
def test_containers_that_ended_with_their_engine_come_back_with_it(fleeting: tuple[Town, SecondEngine], book: Book,
                                                                   cell: Cell) -> None:
    town, engine = fleeting

    @contextmanager
    def harm(town: Town) -> Iterator[None]:
        with restarted(engine, town):
            yield
        for app in (SHOP, BLOG):
            wait_until(lambda app=app: town.get(app).status == 200, what=f"{app} after its engine")  # type: ignore[misc]

    run_cell(town, book, cell, harm, visitors=(SHOP,))


# -- what it says -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        with (found.home / "config/server.toml").open("a") as server:
            server.write(PATIENT)
        yield found


@pytest.fixture(scope="module")
def chaos(engine_url: str) -> Iterator[ChaosSocket]:
    with chaos_socket(engine_url) as found:
        yield found


CHANGES = ["POST .*/tag", "POST /containers/create", "POST .*/start", "POST .*/update", "POST .*/stop", "DELETE /containers"]


@pytest.mark.parametrize("way", ["lost", "cut", "refuse", "error"])
@pytest.mark.parametrize("request_", CHANGES)
def test_one_answer_of_the_engine_that_goes_wrong_changes_nothing_for_anybody(town: Town, chaos: ChaosSocket, book: Book,
                                                                              request_: str, way: str) -> None:
    words = Scenes(town).words("upgrade", f"a{town.revision(SHOP)}")
    method, path = request_.split(" ")
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
        with chaos.rule(way, method, path, times=1) as rule:
            ran = town.run(*words, env=chaos.env)
        assert rule.struck == 1, chaos.requests[-30:]
        assert (ran.code, ran.told["confirmed"]) == (0, True), ran
        town.settle()
        watch.require_kept(town.settle)
    book.write(Outcome({"lost": "engine's answer lost", "cut": "engine's answer cut", "refuse": "engine refuses once",
                        "error": "engine errs once (500)"}[way], path.strip("./*"), "exit 0; what was asked for serves",
                       watch.sent, watch.lost))


WAYS = {"engine refuses from then on": "refuse", "engine errs from then on (500)": "error",
        "engine slow": "delay"}


@pytest.mark.parametrize("cell", cells(
    *across("engine refuses from then on", GONE), *across("engine errs from then on (500)", GONE),
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
