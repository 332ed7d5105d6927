"""`ledger compact` gives room back, keeps every event that counts, and leaves a whole ledger whenever it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployctl.domain.host.folding import PLANS_AFTER
from deployctl.errors import DeployctlError, LeaseHeld
from deployctl.ledger.file.compact import size_of
from deployctl.ledger.file.vault import Vault
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.usecases.ledger.compact import compact_ledger
from deployctl.usecases.ledger.fold import PAUSE_SECONDS, fold, fold_ledger
from deployctl.usecases.ledger.verify import verify_ledger
from tests.unit.world import SHOP, World, world

FAR = PLANS_AFTER + 2 * 86_400.0
COMPACT = """
import sys
from pathlib import Path
from deployctl.ledger.file.vault import Vault
from deployctl.usecases.ledger import compact as told
ledger = Path(sys.argv[1])
fold = told.fold_ledger
def fold_ledger(*words, **named):  # no lease was held by anybody: from now on changes and this must not meet
    ledger.with_name("unheld").touch()
    return fold(*words, **named)
told.fold_ledger = fold_ledger
told.compact_ledger(Vault(ledger, ledger.parent, now=sys.argv[2]), actor="x (cli)", dry_run=False)
"""


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """A home with a past of some megabytes: refused changes and plans of long ago."""
    with world(tmp_path) as made:
        made.upgraded("v1", "v2")
        with made.ledger.transaction():
            for _ in range(3000):
                made.ledger.event("refused", "x" * 400, at=made.clock.utc(), actor="reader (web)", data={"agent": "y" * 200})
                made.ledger.db.execute(
                    "insert into deployments(app, kind, phase, plan, actor, started_at, token, finished_at, before) values "
                    "('shop', 'upgrade', 'succeeded', (select plan from deployments where id = 2), 'x', ?, 1, ?, "
                    "(select before from deployments where id = 2))", [made.clock.utc(), made.clock.utc()])
        made.clock.sleep(FAR)
        yield made


def vault(w: World) -> Vault:
    return Vault(w.home / "ledger.db", w.home, now=w.clock.utc())


def compacted(w: World, *, dry_run: bool = False) -> dict[str, Any]:
    return dict(compact_ledger(vault(w), actor="mara (cli)", dry_run=dry_run).extra)


def has_begun(path: Path) -> bool:
    """Tell whether a process compacts the ledger, or has done so."""
    return path.with_name("ledger.candidate.lock").exists()


def test_what_is_long_past_goes_and_its_room_comes_back(w: World) -> None:
    told = compacted(w)
    assert (told["folded_refusals"], told["folded_plans"]) == (3000, 3002)
    assert told["bytes_before"] > 8e6
    assert told["bytes_after"] == size_of(w.home / "ledger.db") < 1.5e6
    verify_ledger(vault(w))
    assert w.undo().target == "v1"
    assert w.upgrade("v3").target == "v3"


def test_a_dry_run_says_about_how_much_and_changes_nothing(w: World) -> None:
    events = w.ledger.count_events()
    foreseen = compacted(w, dry_run=True)
    assert (foreseen["folded_refusals"], foreseen["folded_plans"]) == (3000, 3002)
    assert w.ledger.count_events() == events
    assert size_of(w.home / "ledger.db") == foreseen["bytes_before"]
    after = compacted(w)["bytes_after"]
    assert abs(foreseen["bytes_after"] - after) < 0.25 * foreseen["bytes_before"]


def test_nothing_to_do_is_told_as_that(w: World) -> None:
    compacted(w)
    done = compact_ledger(vault(w), actor="mara (cli)", dry_run=False)
    assert (done.changed, done.extra["folded_plans"]) == (False, 0)


def test_while_somebody_changes_an_app_it_waits_for_another_time_and_whoever_goes_back_meanwhile_does(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = w.ledger.take_lease(SHOP, holder="jonas", verb="upgrade", at=w.clock.utc())
    assert isinstance(token, int)
    with pytest.raises(LeaseHeld, match=r"jonas .* is changing shop"):
        compacted(w)
    w.ledger.give_lease_back(SHOP, token)
    moved: list[str | None] = []

    def meanwhile(_ledger: SqliteLedger) -> None:
        moved.append(w.rollback().target)
        with pytest.raises(LeaseHeld, match="compacting the ledger"):
            compacted(w)

    monkeypatch.setattr("deployctl.usecases.ledger.compact.compact", meanwhile)
    compacted(w)
    assert moved == ["v1"]


def test_nobody_is_refused_a_rollback_while_another_process_compacts(w: World) -> None:
    path, moves = w.home / "ledger.db", 0
    before = size_of(path)
    process = subprocess.Popen([sys.executable, "-c", COMPACT, str(path), w.clock.utc()], cwd=Path(__file__).parents[2])
    try:
        while not path.with_name("unheld").exists() and process.poll() is None:
            time.sleep(0.001)
        while process.poll() is None:
            w.undo()
            moves += process.poll() is None
    finally:
        process.wait(60)
    assert process.returncode == 0
    assert moves > 0, "none was made while it lasted"
    assert path.stat().st_size < before / 2, "each of the moves adds some kilobytes"
    verify_ledger(vault(w))


def test_what_would_keep_others_waiting_for_too_long_is_given_up(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployctl.ledger.file.compact.BUILDING", 0.0)
    monkeypatch.setattr("deployctl.ledger.file.compact.STEPS", 10)
    with pytest.raises(DeployctlError, match="it was cancelled") as told:
        compacted(w)
    assert told.value.code == "takes_too_long"
    assert w.rollback().target == "v1"
    monkeypatch.undo()
    assert compacted(w)["bytes_after"] < 1.5e6
    verify_ledger(vault(w))


def test_between_two_batches_who_waits_has_their_turn(w: World) -> None:
    pauses: list[float] = []
    fold_ledger(w.ledger, at=w.clock.utc(), actor="x", pause=pauses.append)
    assert pauses == [PAUSE_SECONDS] * 7, "3000 refusals and 3002 plans"


def test_without_room_it_says_how_much_it_needs_and_where(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployctl.ledger.file.compact.os.statvfs", lambda _place: SimpleNamespace(f_bavail=500, f_frsize=4096,
                                                                                              f_bfree=500, f_blocks=10**6))
    with pytest.raises(DeployctlError, match=r"needs \d+\.\d MB free in") as told:
        compacted(w)
    assert told.value.code == "disk_full"
    monkeypatch.undo()
    assert w.ledger.find_faults() == []
    assert w.rollback().target == "v1"


@pytest.mark.parametrize("part", [0.0, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_whenever_it_is_killed_the_ledger_is_whole_and_nobody_has_to_wait(w: World, part: float) -> None:
    path = w.home / "ledger.db"
    words = [sys.executable, "-c", COMPACT, str(path), w.clock.utc()]
    process = subprocess.Popen(words, cwd=Path(__file__).parents[2])
    while process.poll() is None and not has_begun(path):
        time.sleep(0.001)
    time.sleep(part * 0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with closing(SqliteLedger.open(path, w.home, now=w.clock.utc())) as ledger:
        assert [*ledger.damages(), *ledger.find_faults()] == []
    assert w.rollback().target == "v1"
    compacted(w)
    verify_ledger(vault(w))
    assert path.stat().st_size < 1.5e6


def test_without_compact_too_what_was_folded_gives_its_room_to_what_comes_next(w: World) -> None:
    pages = w.ledger.db.execute("pragma page_count")[0][0]
    fold(w.s)
    assert w.ledger.db.execute("pragma freelist_count")[0][0] > 0.7 * pages
    w.rollback()
    assert w.ledger.db.execute("pragma page_count")[0][0] <= pages + 1


def test_who_has_it_open_goes_on_with_the_same_file(w: World) -> None:
    with closing(SqliteLedger.open(w.home / "ledger.db", w.home, now=w.clock.utc())) as watcher:
        before = watcher.db.file()
        compacted(w)
        assert watcher.db.file() == before
        assert watcher.find_app(SHOP) is not None
