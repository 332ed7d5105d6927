"""The board: one reading for all who ask, the last one with its age when nothing answers, none that is known to be wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.errors import LedgerUnusable, NotFound
from deployctl.ports import ContainerFacts, Services
from deployctl.usecases.results import StatusView
from deployctl_web.live import status_cache as module
from deployctl_web.live.status_cache import StatusCache
from deployctl_web.services_pool import ServicesPool
from tests.unit.world import SHOP, World, world

PATIENCE = 5.0  # seconds that a test waits for a thread


@dataclass
class Gate:
    """An engine's list of containers that does not come before it is opened."""

    answers: Callable[[], list[ContainerFacts]]
    _here: threading.Event = field(default_factory=threading.Event)
    _open: threading.Event = field(default_factory=threading.Event)

    def containers(self) -> list[ContainerFacts]:
        self._here.set()
        assert self._open.wait(PATIENCE), "nobody opened the gate"
        return self.answers()

    def wait_for_someone(self) -> None:
        assert self._here.wait(PATIENCE), "nobody asked the engine"

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()
        self._here.clear()


@dataclass
class Wall:
    """A home, its board, a clock that a test sets, and the gate before its engine, which is open at first.
    `read` lists what was read, in order: an app, or None for the home."""

    w: World
    gate: Gate
    now: float = 0.0
    read: list[AppName | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = ServicesPool(lambda: self.w.services(ledger=self.w.open_ledger()))
        self.status_cache = StatusCache(self.pool, lambda: self.now)

    def close(self) -> None:
        self.gate.open()
        self.status_cache.close()
        self.pool.close()


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    """shop serves v2, v1 stands by. A page that has something to show waits a third of a second."""
    monkeypatch.setattr(module, "RENEWAL_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(module, "AFTER_CHANGE", 1.0)
    with world(tmp_path) as w:
        w.upgraded("v1", "v2")
        gate = Gate(w.engine.containers)
        gate.open()
        monkeypatch.setattr(w.engine, "containers", gate.containers)
        made, taken = Wall(w, gate), module._status

        def counted(s: Services, app: AppName | None) -> StatusView:
            made.read.append(app)
            return taken(s, app)

        monkeypatch.setattr(module, "_status", counted)
        try:
            yield made
        finally:
            made.close()


def version(wall: Wall) -> str | None:
    active = wall.status_cache.app(SHOP).value.active
    return active.version if active else None


# -- fresh, and kept ----------------------------------------------------------------------------------------------------
def test_a_reading_is_kept_for_a_moment_and_taken_anew_after_it(wall: Wall) -> None:
    first = wall.status_cache.app(SHOP)
    assert (first.age, first.stale, first.why, first.value.revision) == (0.0, False, "", 2)
    wall.now += module.FRESH_SECONDS
    kept = wall.status_cache.app(SHOP)
    assert (kept.age, kept.at, wall.read) == (module.FRESH_SECONDS, first.at, [SHOP])
    wall.now += 0.1
    assert wall.status_cache.app(SHOP).age == 0.0
    assert len(wall.read) == 2


def test_who_asks_for_something_fresher_gets_it(wall: Wall) -> None:
    wall.status_cache.home(), wall.status_cache.home(within=10.0)
    wall.now += 1.0
    wall.status_cache.home(within=0.5)
    assert len(wall.read) == 2


def test_the_home_and_each_app_are_readings_of_their_own(wall: Wall) -> None:
    assert [view.app for view in wall.status_cache.home().value.apps] == ["shop"]
    assert wall.status_cache.whole(SHOP).value.apps == (wall.status_cache.app(SHOP).value,)
    assert len(wall.read) == 2


def test_many_who_ask_at_the_same_time_share_one_reading(wall: Wall) -> None:
    wall.gate.shut()
    with ThreadPoolExecutor(20) as askers:
        asked = [askers.submit(wall.status_cache.home) for _ in range(20)]
        wall.gate.wait_for_someone()
        wall.gate.open()
        seen = [one.result(PATIENCE) for one in asked]
    assert wall.read == [None]
    assert len({one.taken for one in seen}) == 1
    assert all(not one.stale for one in seen)


def test_who_can_do_with_an_older_one_gets_it_at_once_and_the_new_one_is_taken_meanwhile(wall: Wall) -> None:
    first = wall.status_cache.whole(SHOP)
    wall.gate.shut()
    wall.now += module.AT_ONCE_SECONDS
    kept = wall.status_cache.whole(SHOP, at_once=module.AT_ONCE_SECONDS)
    assert (kept.at, kept.age, kept.stale) == (first.at, module.AT_ONCE_SECONDS, False)
    wall.gate.wait_for_someone()
    wall.gate.open()
    assert wall.status_cache.whole(SHOP).age == 0.0
    assert len(wall.read) == 2


def test_what_was_changed_since_is_shown_to_nobody_at_once(wall: Wall) -> None:
    wall.status_cache.whole(SHOP)
    wall.w.rollback()
    active = wall.status_cache.whole(SHOP, at_once=module.AT_ONCE_SECONDS).value.apps[0].active
    assert active is not None
    assert active.version == "v1"
    wall.status_cache.home()
    wall.w.undo()
    active = wall.status_cache.home(at_once=module.AT_ONCE_SECONDS).value.apps[0].active
    assert active is not None
    assert active.version == "v2"


# -- an engine that hangs -----------------------------------------------------------------------------------------------
def test_a_page_is_shown_the_last_reading_with_its_age_while_the_engine_hangs(wall: Wall) -> None:
    first = wall.status_cache.app(SHOP)
    wall.gate.shut()
    wall.now += 60.0
    seen = wall.status_cache.app(SHOP)
    assert (seen.value, seen.at, seen.age, seen.stale) == (first.value, first.at, 60.0, True)
    assert "did not respond in time" in seen.why


def test_while_the_engine_hangs_nobody_asks_it_twice(wall: Wall) -> None:
    wall.status_cache.home()
    wall.gate.shut()
    wall.now += 60.0
    for _ in range(5):
        assert wall.status_cache.home().stale
    assert len(wall.read) == 2
    wall.gate.open()
    assert not wall.status_cache.home().stale


def test_an_engine_that_hangs_for_one_app_keeps_no_other_waiting(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    wall.status_cache.home()
    wall.now += 60.0
    hangs, taken = threading.Event(), module._status

    def reading(s: Services, app: AppName | None) -> StatusView:
        assert app is None or hangs.wait(PATIENCE)
        return taken(s, app)

    monkeypatch.setattr(module, "_status", reading)
    with ThreadPoolExecutor(1) as asker:
        slow = asker.submit(wall.status_cache.app, SHOP)
        assert not wall.status_cache.home().stale
        hangs.set()
        assert slow.result(PATIENCE).value.app == SHOP


def test_a_ledger_that_is_away_leaves_the_last_reading_and_says_why(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_s: Services, _app: AppName | None) -> StatusView:
        raise LedgerUnusable("the ledger is no ledger")

    taken = module._status
    monkeypatch.setattr(module, "_status", away)
    with pytest.raises(LedgerUnusable):
        wall.status_cache.home()
    monkeypatch.setattr(module, "_status", taken)
    wall.status_cache.home()
    monkeypatch.setattr(module, "_status", away)
    wall.now += 10.0
    seen = wall.status_cache.home()
    assert (seen.stale, seen.why, seen.age) == (True, "the ledger is no ledger", 10.0)


# -- what is known to be wrong ------------------------------------------------------------------------------------------
def test_after_a_change_by_another_process_nobody_is_shown_what_was_before(wall: Wall) -> None:
    """Nobody tells the board of it: the ledger does."""
    wall.status_cache.home()
    assert version(wall) == "v2"
    wall.w.rollback()
    assert version(wall) == "v1"
    home = wall.status_cache.home().value.apps[0]
    assert home.active is not None
    assert (home.active.version, home.revision) == ("v1", 3)


def test_a_change_that_no_ledger_knows_of_is_told_to_the_board(wall: Wall) -> None:
    wall.status_cache.app(SHOP)
    wall.status_cache.forget(SHOP)
    wall.status_cache.app(SHOP)
    assert len(wall.read) == 2


def test_a_reading_that_was_sent_off_before_a_change_is_not_waited_for(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    wall.gate.shut()
    with ThreadPoolExecutor(2) as askers:
        early = askers.submit(version, wall)
        wall.gate.wait_for_someone()
        with monkeypatch.context() as patch:
            patch.setattr(wall.w.engine, "containers", wall.gate.answers)
            wall.w.rollback()
        late = askers.submit(version, wall)
        wall.gate.open()
        assert late.result(PATIENCE) == "v1"
        early.result(PATIENCE)


def test_a_change_during_a_reading_makes_it_worthless(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked before the change may see what was; who asks after it may not."""
    wall.gate.shut()
    with ThreadPoolExecutor(1) as asker:
        early = asker.submit(version, wall)
        wall.gate.wait_for_someone()
        with monkeypatch.context() as patch:  # the change itself is not kept waiting
            patch.setattr(wall.w.engine, "containers", wall.gate.answers)
            wall.w.rollback()
        wall.status_cache.forget(SHOP)
        wall.gate.open()
        assert early.result(PATIENCE) in {"v1", "v2"}
    assert version(wall) == "v1"
    assert len(wall.read) == 2


def test_forgetting_an_app_forgets_the_home_and_no_other_app(wall: Wall) -> None:
    wall.w.add_file(AppName("blog"))
    wall.status_cache.home(), wall.status_cache.app(SHOP)
    asked = len(wall.read)
    wall.status_cache.forget(AppName("blog"))
    wall.status_cache.app(SHOP)
    assert len(wall.read) == asked
    wall.status_cache.home()
    assert len(wall.read) == asked + 1
    wall.status_cache.forget()
    wall.status_cache.app(SHOP)
    assert len(wall.read) == asked + 2


def test_when_the_engine_hangs_after_a_change_the_old_reading_says_that_it_is_old(wall: Wall) -> None:
    wall.status_cache.app(SHOP)
    wall.gate.shut()
    wall.status_cache.forget(SHOP)
    seen = wall.status_cache.app(SHOP)
    assert (seen.stale, seen.wrong) == (True, True)
    assert "did not respond in time" in seen.why


def test_a_reading_that_was_overtaken_is_shown_rather_than_the_one_before_it(
        wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """While readings take long and something changes during each, the page may be late, but never falls back."""
    assert version(wall) == "v2"
    wall.w.rollback()
    taken, gates, begun = module._status, [threading.Event(), threading.Event()], threading.Event()
    left = iter(gates)

    def slowly(s: Services, app: AppName | None) -> StatusView:
        gate = next(left)
        begun.set()
        assert gate.wait(PATIENCE)
        return taken(s, app)

    monkeypatch.setattr(module, "_status", slowly)
    with ThreadPoolExecutor(2) as askers:
        first = askers.submit(wall.status_cache.whole, SHOP)
        assert begun.wait(PATIENCE)
        wall.status_cache.forget(SHOP)
        second = askers.submit(wall.status_cache.whole, SHOP)
        gates[0].set()
        assert not first.result(PATIENCE).stale
        late = second.result(PATIENCE)
        assert late.stale
        assert late.value.apps[0].active is not None
        assert late.value.apps[0].active.version == "v1"
        gates[1].set()


def test_an_app_that_was_removed_is_not_shown_from_memory(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(_s: Services, _app: AppName | None) -> StatusView:
        raise NotFound("no such app")

    wall.status_cache.app(SHOP)
    monkeypatch.setattr(module, "_status", removed)
    wall.now += 10.0
    for _ in range(2):
        with pytest.raises(NotFound):
            wall.status_cache.app(SHOP)


def test_a_reading_that_is_done_before_anybody_waits_for_it_locks_nobody_out(
        wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the reader may be done before the one who sent it goes on."""
    class AtOnce:
        def submit(self, work: Callable[..., Any], *words: Any) -> Future[Any]:
            done: Future[Any] = Future()
            try:
                done.set_result(work(*words))
            except NotFound as e:
                done.set_exception(e)
            return done

        def shutdown(self, **_how: bool) -> None: ...

    monkeypatch.setattr(wall.status_cache, "_threads", AtOnce())
    asker = threading.Thread(target=wall.status_cache.home, daemon=True)
    asker.start()
    asker.join(PATIENCE)
    assert not asker.is_alive()
