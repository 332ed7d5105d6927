"""SIGSTOP of the process that holds the lease, at each phase: somebody else takes over, and who wakes up does nothing more."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.faults.injector import Fault
from tests.faults.invariants import watched
from tests.faults.matrix import LONG, MARKS, PHASES
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import victim

SILENT = "20s"  # longer than a lease lives without a heartbeat


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


OVERTAKEN, OUTWAITED = "overtaken by rollback --abort", "outwaited"


def cells() -> list[object]:
    """Return each phase with each way to be passed over; few of them, unless all are wanted."""
    few = {(OVERTAKEN, "health check"), (OVERTAKEN, "switched")}
    every = [(how, phase) for how in (OVERTAKEN, OUTWAITED) for phase in PHASES if LONG or (how, phase) in few]
    return [pytest.param(how, phase, id=f"{how}, {phase}") for how, phase in every]


@pytest.mark.parametrize(("how", "phase"), cells())
def test_who_wakes_up_after_his_lease_changes_nothing(town: Town, book: Book, how: str, phase: str) -> None:
    scenes = Scenes(town)
    scenes.ensure_way_back()
    scenes.unhold()
    words = ("upgrade", SHOP, "v3", "--env", f"TRY=f{next(MARKS)}")
    other = ("rollback", SHOP, "--abort", "-y") if how == OVERTAKEN else ("unhold", SHOP, "v1", "--lock-wait", SILENT)
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
        with victim(town, Fault("wait", "after", "begin", PHASES[phase]), *words) as holder:
            holder.wait_there()
            os.kill(holder.process.pid, signal.SIGSTOP)
            try:
                ran = town.run(*other)
                assert ran.code == 0, ran
                served, objects, rows = town.routes(), town.objects(), town.ledger(but=("leases", "events"))
            finally:
                os.kill(holder.process.pid, signal.SIGCONT)
            holder.go_on()
            woken = holder.ended()
        assert woken.ran.code == 6, str(woken.ran)
        assert (town.routes(), town.objects()) == (served, objects)
        assert town.ledger(but=("leases", "events")) == rows
        town.settle()
        watch.require_kept(town.settle)
    book.write(Outcome(f"holder frozen, {how}", phase, f"exit {woken.ran.code} when it continues", watch.sent, watch.lost))
