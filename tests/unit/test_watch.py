"""The watcher's loop on a home in memory: what wakes it, what it repairs, what it leaves alone, and what it
survives."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from deployctl import __version__
from deployctl.config.settings import Settings
from deployctl.domain.change.planner import plan_start
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Restart
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import DeployctlError, LedgerUnusable, ProxyUnavailable
from deployctl.ledger.file.copies import COPY_INTERVAL, copies
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import ContainerFacts, Services
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.read_facts import observe
from deployctl.usecases.view.readiness import check_readiness, look_at_all
from deployctl.watch import wakeup as bells
from deployctl.watch.backoff import FIRST_DELAY, MAX_DELAY, Backoff
from deployctl.watch.lock import LOCK_FILE, Watcher, check_watcher, find_watcher, only_one
from deployctl.watch.serve import serve
from deployctl.watch.wakeup import EVERY_APP, Wakeup, follow
from deployctl.watch.watch import BOOKS, CLOSE, READY, SHARE, TICK_SECONDS, WHOLE, Watch, pause_after
from tests.unit.world import SHOP, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby."""
    with world(tmp_path) as made:
        made.clock.sleep(1)
        yield made.upgraded("v1", "v2")


@pytest.fixture
def watch(w: World) -> Watch:
    """A watcher that has had its first look."""
    made = Watch(w.services(actor="mara (watcher)"))
    made.tick(set())
    w.told.warnings.clear()
    w.engine.calls.clear()
    return made


def container(w: World, version: str) -> str:
    return str(next(i.container for i in w.ledger.instances(SHOP) if i.release == w.release(version).number))


def container_of(w: World, app: AppName, release: int) -> str:
    instance = w.ledger.find_instance(app, InstanceId(release))
    assert instance is not None
    return str(instance.container)


def counted(w: World, watch: Watch) -> Counter[str]:
    """Count what is asked of engine and HAProxy from now on."""
    asked = Counter[str]()
    for outside, names in ((w.engine, ("containers", "networks")), (w.traffic, ("routes", "counters"))):
        for name in names:
            plain = getattr(outside, name)

            def ask(*words: object, _name: str = name, _plain: Callable[..., object] = plain) -> object:
                asked[_name] += 1
                return _plain(*words)

            setattr(outside, name, ask)
    return asked


def pass_time(w: World, watch: Watch, seconds: float) -> None:
    for _ in range(int(seconds / TICK_SECONDS)):
        w.clock.sleep(TICK_SECONDS)
        watch.tick(set())


# -- reasons to look -----------------------------------------------------------------------------------------------
def test_idle_it_changes_nothing_says_nothing_and_holds_no_lease(w: World, watch: Watch) -> None:
    before = w.everything()
    pass_time(w, watch, 2 * CLOSE)
    assert (w.everything(), w.engine.calls, w.told.warnings) == (before, [], [])
    assert w.ledger.find_lease(SHOP) is None


def test_a_ring_lets_it_mend_at_once(w: World, watch: Watch) -> None:
    w.engine.die(container(w, "v2"))
    watch.tick(set())
    assert w.running() == {"v1"}
    watch.tick({"shop"})
    assert w.running() == {"v1", "v2"}
    assert any("does not run" in said for said in w.told.warnings)


def test_without_a_ring_it_looks_from_time_to_time(w: World, watch: Watch) -> None:
    w.engine.die(container(w, "v2"))
    pass_time(w, watch, WHOLE + TICK_SECONDS)
    assert w.running() == {"v1", "v2"}


def test_what_only_a_close_look_tells_is_seen_when_it_rings_or_after_a_while(w: World, watch: Watch) -> None:
    for seconds, rung in ((0.0, {"shop"}), (0.0, {EVERY_APP}), (CLOSE + WHOLE, set[str]())):
        w.engine.meddle(container(w, "v2"), restart=Restart.NEVER)
        watch.tick(rung)
        pass_time(w, watch, seconds)
        assert w.engine.restarts_always(container(w, "v2")), rung


def blogs(w: World, count: int) -> list[AppName]:
    """Let so many other apps have an active version and a warm standby."""
    names = [AppName(f"blog-{number}") for number in range(count)]
    for name in names:
        w.add_file(name)
        for version in ("v1", "v2"):
            upgrade(name, Version(version), w.s)
    return names


def test_a_round_reads_engine_and_proxy_once_however_many_apps_there_are(w: World, watch: Watch) -> None:
    """Each minute all containers and networks were read once for each app."""
    blogs(w, 8)
    watch.tick({EVERY_APP})
    read = counted(w, watch)
    pass_time(w, watch, READY + TICK_SECONDS)
    assert read["containers"] == read["networks"] <= 1 + (READY + TICK_SECONDS) // WHOLE + 1
    assert read["routes"] <= 2 + (READY + TICK_SECONDS) // WHOLE + 1


def test_looks_that_take_long_are_taken_less_often_and_what_happens_is_seen_at_once(w: World, watch: Watch) -> None:
    look = w.engine.containers

    def slowly() -> list[ContainerFacts]:
        w.clock.sleep(1.0)
        return look()

    w.engine.containers = slowly  # type: ignore[method-assign]
    pass_time(w, watch, 2 * READY)
    before = w.clock.now()
    read = counted(w, watch)
    pass_time(w, watch, CLOSE)
    assert read["containers"] <= 2 * (w.clock.now() - before) * SHARE + 3
    w.engine.die(container(w, "v2"))
    watch.tick({"shop"})
    assert w.running() == {"v1", "v2"}


@pytest.mark.parametrize(("took", "seconds"), [(0.0, 30.0), (0.1, 30.0), (0.5, 100.0), (60.0, 300.0)])
def test_the_pause_after_a_look_grows_with_what_it_took_to_a_bound(took: float, seconds: float) -> None:
    assert pause_after(took, least=30.0) == seconds


def test_what_seems_to_have_turned_by_a_reading_of_the_round_is_looked_at_closely_first(w: World, watch: Watch) -> None:
    [first, *_] = blogs(w, 3)
    w.clock.sleep(READY)
    around = look_at_all(watch.s)
    w.engine.ensure_removed(container_of(w, first, 1))
    stale = look_at_all(watch.s)  # read while somebody had removed it, who has made it again since
    reconcile(w.s)
    assert check_readiness(first, w.s, around=stale)[0].ready
    assert [e for e in w.ledger.events(first) if e["kind"] == "readiness"] == []
    w.engine.ensure_removed(container_of(w, first, 1))
    w.engine.images.drop(w.ledger.releases(first)[-1].digest)
    check_readiness(first, w.s, around=around)  # by which it is still there: only its probe tells
    assert len([e for e in w.ledger.events(first) if e["kind"] == "readiness"]) == 1


def test_a_round_is_broken_off_for_what_happens_meanwhile_and_goes_on_afterwards(w: World) -> None:
    names = blogs(w, 5)
    rings = iter([False, False, True])
    watch = Watch(w.services(actor="mara (watcher)"), is_rung=lambda: next(rings, False))
    watch.tick(set())
    assert len(watch.unchecked) == len(names) + 1 - 2
    w.engine.die(container(w, "v2"))
    watch.tick({"shop"})
    assert (w.running() >= {"v1", "v2"}, watch.unchecked, watch.around) == (True, [], None)


def test_a_dead_haproxy_lives_again_after_one_tick_and_serves_the_same(w: World, watch: Watch) -> None:
    w.traffic.die()
    watch.tick(set())
    assert w.serving == "v2"
    assert "HAProxy had died" in w.told.warnings[0]


def test_an_interrupted_deployment_is_settled_after_one_tick(w: World, watch: Watch) -> None:
    token = w.ledger.take_lease(SHOP, holder="dead (cli)", verb="start", at="now")
    assert isinstance(token, int)
    facts = observe(SHOP, w.s)
    w.ledger.open_deployment(plan_start(facts, facts.releases[1]), actor="dead (cli)", note="", at="now", token=token)
    watch.tick(set())
    assert len(w.ledger.open_deployments()) == 1  # its holder lives
    w.ledger.give_lease_back(SHOP, token)
    watch.tick(set())
    assert w.ledger.open_deployments() == []


def test_a_busy_app_is_left_alone_and_looked_at_when_it_is_free(w: World, watch: Watch) -> None:
    token = w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at="now")
    assert isinstance(token, int)
    w.engine.die(container(w, "v2"))
    watch.tick({"shop"})
    assert w.running() == {"v1"}
    w.ledger.give_lease_back(SHOP, token)
    watch.tick(set())
    assert w.running() == {"v1", "v2"}


# -- what it survives ----------------------------------------------------------------------------------------------
def test_an_engine_that_is_away_is_said_once_and_everything_is_looked_at_when_it_is_back(w: World, watch: Watch) -> None:
    for version in ("v1", "v2"):
        w.engine.die(container(w, version))
    w.engine.away = "connection refused"
    watch.tick({EVERY_APP})
    pass_time(w, watch, 60)
    assert [said for said in w.told.warnings if "connection refused" in said] == w.told.warnings
    assert len(w.told.warnings) == 1
    w.engine.away = None
    pass_time(w, watch, TICK_SECONDS)
    assert w.running() == {"v1", "v2"}


def test_what_cannot_be_mended_is_tried_ever_more_seldom_and_said_once(w: World, watch: Watch) -> None:
    w.engine.die(container(w, "v2"))
    w.engine.behaviours[w.release("v2").digest] = Behaviour(refused="no such program")
    for _ in range(300):
        w.clock.sleep(TICK_SECONDS)
        watch.tick({"shop"})
    tries = [call for call in w.engine.calls if call.startswith("start ")]
    assert 3 <= len(tries) <= 9
    assert len([said for said in w.told.warnings if "no such program" in said]) == 1
    del w.engine.behaviours[w.release("v2").digest]
    pass_time(w, watch, MAX_DELAY + WHOLE)
    assert w.running() == {"v1", "v2"}


def test_one_hopeless_app_keeps_no_other_waiting(w: World, watch: Watch) -> None:
    w.engine.die(container(w, "v2"))
    w.engine.die(container(w, "v1"))
    w.engine.behaviours[w.release("v2").digest] = Behaviour(refused="no such program")
    watch.tick({"shop"})
    assert w.running() == {"v1"}


@pytest.mark.parametrize("error", [LedgerUnusable("not a ledger"), DeployctlError("no space left")])
def test_a_ledger_that_fails_is_said_once_and_survived(
    w: World, watch: Watch, error: DeployctlError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(w.ledger, "open_deployments", fail)
        pass_time(w, watch, 60)
    assert w.told.warnings == [error.message]
    w.engine.die(container(w, "v2"))
    watch.tick({"shop"})
    assert w.running() == {"v1", "v2"}


def test_a_haproxy_that_does_not_come_up_is_tried_ever_more_seldom(
    w: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse() -> None:
        tries.append(w.clock.now())
        raise ProxyUnavailable("port 8000 is held by nginx")

    w.traffic.die()
    with monkeypatch.context() as broken:
        broken.setattr(w.traffic, "sync", refuse)
        pass_time(w, watch, 600)
    assert 3 <= len(tries) <= 10
    assert len(w.told.warnings) == 1
    pass_time(w, watch, MAX_DELAY + TICK_SECONDS)
    assert w.serving == "v2"


def test_a_home_without_apps_needs_no_haproxy(tmp_path: Path) -> None:
    with world(tmp_path) as empty:
        empty.traffic.die()
        watch = Watch(empty.s)
        pass_time(empty, watch, 60)
        assert empty.traffic.pid() is None
        assert empty.told.warnings == []


def test_the_pause_doubles_up_to_its_longest() -> None:
    patience, now = Backoff(), 0.0
    pauses = []
    for _ in range(10):
        patience.failed("shop", now)
        began = now
        while patience.waits("shop", now):
            now += 1
        pauses.append(now - began)
    assert (pauses[0], pauses[1], pauses[-1]) == (FIRST_DELAY, 2 * FIRST_DELAY, MAX_DELAY)
    patience.well("shop")
    assert not patience.waits("shop", now)


# -- the bell ------------------------------------------------------------------------------------------------------
def test_a_bell_tells_for_whom_it_was_rung_and_forgets() -> None:
    wakeup = Wakeup()
    for app in ("shop", "web", "shop"):
        wakeup.ring(app)
    assert wakeup.wait(5) == {"shop", "web"}
    assert wakeup.wait(0) == frozenset()


def test_events_ring_and_a_stream_that_was_cut_rings_for_every_app(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "ENGINE_RETRY_SECONDS", 0.01)
    wakeup, ended = Wakeup(), Event()
    thread = Thread(target=follow, args=(w.engine, wakeup), kwargs={"since": 0, "ended": ended})
    thread.start()
    try:
        assert wakeup.wait(5) == {"shop"}
        w.engine.die(container(w, "v2"))
        assert wakeup.wait(5) == {"shop"}
        w.engine.away = "connection refused"
        assert EVERY_APP in wakeup.wait(5)
    finally:
        ended.set()
        thread.join(5)
    assert not thread.is_alive()


# -- the process ---------------------------------------------------------------------------------------------------
def test_a_second_watcher_of_a_home_is_refused(tmp_path: Path) -> None:
    assert find_watcher(tmp_path) is None
    with only_one(tmp_path):
        assert find_watcher(tmp_path) == Watcher(os.getpid(), __version__)
        with pytest.raises(DeployctlError, match="is already running"), only_one(tmp_path):
            pass
    assert find_watcher(tmp_path) is None
    with only_one(tmp_path):
        pass


@pytest.mark.parametrize(("written", "version"), [(f"{41:<20}", None), (f"{41:<20}{'0.9.0':<20}", "0.9.0")])
def test_a_watcher_that_was_started_before_the_update_is_told_with_what_ends_it(tmp_path: Path, written: str,
                                                                                version: str | None) -> None:
    assert check_watcher(tmp_path) == []
    with only_one(tmp_path):
        (fine,) = check_watcher(tmp_path)
        assert fine.ok
        (tmp_path / LOCK_FILE).write_text(written)  # 0.1.0 and 0.2.0 write their pid alone
        assert find_watcher(tmp_path) == Watcher(41, version)
        (found,) = check_watcher(tmp_path)
    assert (found.ok, found.fatal, found.code) == (False, True, "another_version")
    assert found.fix is not None
    assert found.fix.startswith("kill 41 ")


def test_the_watcher_copies_the_ledger_after_moves_of_others(w: World) -> None:
    watch = Watch(w.s)
    watch.tick(set())
    made = len(copies(w.home / "ledger.db"))
    w.rollback()
    w.clock.sleep(COPY_INTERVAL)
    for _ in range(3):
        w.clock.sleep(BOOKS)
        watch.tick(set())
    assert len(copies(w.home / "ledger.db")) == made + 1


def test_a_copy_that_fails_is_said_once_and_ends_no_watch(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object, **_more: object) -> None:
        raise DeployctlError("no room for a copy")

    monkeypatch.setattr(SqliteLedger, "keep_copy", full)
    watch = Watch(w.s)
    for _ in range(3):
        watch.tick(set())
        w.clock.sleep(BOOKS)
    assert w.told.warnings.count("no room for a copy") == 1


def test_a_signal_is_a_good_end(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(watch: Watch, rung: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "tick", interrupted)
    ledger = w.open_ledger()
    serve(Settings(w.home), lambda: w.services(ledger=ledger))
    assert w.serving == "v2"
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):  # what is left open counts as an unclean end
        ledger.head()


def test_a_ledger_that_is_replaced_before_the_first_look_is_opened_again(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, connected = Settings(w.home), list[SqliteLedger]()
    settings.ensure_state()
    settings.ledger.write_bytes(b"one")

    def tick(watch: Watch, rung: object) -> None:
        raise KeyboardInterrupt

    def connect() -> Services:
        connected.append(w.open_ledger())
        if len(connected) == 1:
            beside = settings.ledger.with_name("restored")
            beside.write_bytes(b"other")
            beside.rename(settings.ledger)
        return w.services(ledger=connected[-1])

    monkeypatch.setattr(Watch, "tick", tick)
    serve(settings, connect)
    assert len(connected) == 2


def test_a_ledger_that_is_replaced_is_opened_again(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, ticks, connected = Settings(w.home), [], list[SqliteLedger]()
    settings.ensure_state()
    settings.ledger.write_bytes(b"one")

    def tick(watch: Watch, rung: object) -> None:
        ticks.append(rung)
        if len(ticks) > 1:
            raise KeyboardInterrupt
        beside = settings.ledger.with_name("restored")
        beside.write_bytes(b"other")
        beside.rename(settings.ledger)

    monkeypatch.setattr(Watch, "tick", tick)
    monkeypatch.setattr(Wakeup, "wait", lambda wakeup, seconds: frozenset())

    def connect() -> Services:
        connected.append(w.open_ledger())
        return w.services(ledger=connected[-1])

    serve(settings, connect)
    assert len(connected) == 2
    for ledger in connected:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            ledger.head()
    assert AppName("shop") == SHOP
