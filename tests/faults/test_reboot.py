"""The power fails: engine, containers, HAProxy and the command in progress end at once; then everything comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests import machine
from tests.e2e.cli import wait_until
from tests.faults.beside import needs_engine, town_beside
from tests.faults.injector import Fault
from tests.faults.invariants import watched
from tests.faults.matrix import IDLE, LONG, MARKS, PHASES
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.second_engine import SecondEngine
from tests.faults.town import BLOG, SHOP, Town
from tests.faults.victim import victim

SOON = 30.0  # seconds until everybody serves again
MET = (*PHASES, IDLE) if LONG else ("health check", "switched")


@pytest.fixture(scope="module")
def beside() -> Iterator[tuple[Town, SecondEngine]]:
    with town_beside(live_restore=False) as found:
        yield found


def lose_power(town: Town, engine: SecondEngine) -> None:
    for pid in town.proxies():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    engine.lose_power()
    for name in ("haproxy.sock", "master.sock"):
        (town.home / "state/haproxy" / name).unlink(missing_ok=True)
    for subnet in machine.unreachable():  # routes do not outlive a boot; these are the namespace's own
        subprocess.run(["ip", "route", "del", "unreachable", subnet, "metric", str(machine.METRIC)], check=True)


@needs_engine
def test_after_a_reboot_the_containers_are_back_before_anybody_types_anything(beside: tuple[Town, SecondEngine]) -> None:
    town, engine = beside
    lose_power(town, engine)
    engine.start()
    wait_until(lambda: {town.inspect(*one)["State"]["Status"] for one in ((SHOP, "v1"), (SHOP, "v2"), (BLOG, "v3"))}
               == {"running"}, what="containers that come back by themselves")
    town.do("status")  # any verb starts HAProxy
    assert {town.get(app).status for app in (SHOP, BLOG)} == {200}


@needs_engine
@pytest.mark.parametrize("phase", MET)
def test_after_a_reboot_everybody_serves_again_by_one_command(beside: tuple[Town, SecondEngine], book: Book,
                                                              phase: str) -> None:
    town, engine = beside
    scenes = Scenes(town)
    scenes.ensure_way_back()
    words, source = scenes.words("upgrade", f"r{next(MARKS)}"), town.route(SHOP)
    with watched(town, SHOP) as watch:
        if phase == IDLE:
            lose_power(town, engine)
        else:
            with victim(town, Fault("wait", "after", "begin", PHASES[phase]), *words) as process:
                process.wait_there()
                process.kill()
                lose_power(town, engine)
        began = time.monotonic()
        engine.start()
        town.do("reconcile")
        took = time.monotonic() - began
        assert {town.get(app).status for app in (SHOP, BLOG)} == {200}
        assert took < SOON
        watch.require_kept(town.settle)
    who = "the version before is live" if town.route(SHOP) == source else "the requested version is live"
    book.write(Outcome("reboot", phase, f"{who} after one `reconcile`"))
