"""What `serve` keeps in memory has a bound in bytes, which is kept and told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import ALL, Principal, Role
from deployctl.domain.host.actor import Actor
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import EngineUnavailable
from deployctl.memory import Bounded
from deployctl.ports import Services
from deployctl.watch.backoff import Backoff
from deployctl.watch.wakeup import EVERY_APP, MAX_WOKEN_APPS, Wakeup
from deployctl.watch.watch import WHOLE, Watch
from deployctl_web.live import event_broker, event_messages
from deployctl_web.live.event_messages import EventMessage
from deployctl_web.live.status_cache import CachedStatus
from deployctl_web.live.stores import stores
from deployctl_web.pages.parts import bounded_call
from deployctl_web.security import by_minute
from deployctl_web.security.by_minute import ByMinute
from tests.unit.web_world import Site
from tests.unit.world import SHOP, World, world

KB = 1024
LONG = 10.0  # seconds
ANYBODY = Principal("mara", {ALL: Role.ADMIN})


def told(text: str) -> dict[str, Any]:
    """Return what a message about one app may hold."""
    return {"app": "shop", "instances": [{"said": f"{text}{number}"} for number in range(20)]}


# -- the Server page ------------------------------------------------------------------------------------------------------
def test_the_server_page_tells_of_each_store_what_it_takes_and_its_bound(shop: Site) -> None:
    mara = shop.signed_in("mara")
    mara.get("/")
    mara.get("/apps/shop")
    memory = {one["name"]: one for one in mara.get("/api/v1/server").get_json()["dashboard"]["memory"]}
    assert memory["status cache"]["bytes"] > 1000
    assert all(0 <= one["bytes"] <= one["most"] for one in memory.values()), memory
    page = mara.get("/server").text
    assert all(f"{name[0].upper()}{name[1:]}" in page for name in memory)


def test_what_is_told_is_what_the_desk_has(shop: Site) -> None:
    shop.web_state.broker.publish("state", SHOP, told("x" * KB))
    found = {one.name: one.bytes for one in stores(shop.web_state)}
    assert found["events for reconnecting pages"] > 20 * KB


def test_the_counter_of_refusals_is_told_and_forgets_whom_it_has_no_room_for(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    assert reader.post("/apps/shop/hold", version="v1").status_code == 403
    assert next(one.bytes for one in stores(shop.web_state) if one.name == "recently rejected changes") > 100
    for number in range(4000):
        shop.web_state.refusals.count(f"{number}", float(number))
    assert by_minute.MAX_WINDOW_BYTES / 2 < shop.web_state.refusals.bytes <= by_minute.MAX_WINDOW_BYTES


# -- the bounds -----------------------------------------------------------------------------------------------------------
def test_the_last_messages_are_as_many_as_have_room(shop: Site) -> None:
    for number in range(300):
        shop.web_state.broker.publish("state", SHOP, told(f"{number}" + "x" * 2 * KB))
    assert event_broker.MAX_KEPT_BYTES / 2 < shop.web_state.broker.bytes <= event_broker.MAX_KEPT_BYTES
    again = shop.web_state.broker.open(ANYBODY, None, last=shop.web_state.broker._number - 5)
    assert (again.missed, again.waiting.qsize()) == (False, 5)
    assert shop.web_state.broker.open(ANYBODY, None, last=shop.web_state.broker._number - 290).missed


def test_a_slow_page_holds_no_more_than_its_room_and_begins_anew(shop: Site) -> None:
    slow = shop.web_state.broker.open(ANYBODY, None)
    slow.begin_anew()
    for number in range(200):
        shop.web_state.broker.publish("state", SHOP, told(f"{number}" + "x" * KB))
    assert slow.missed
    assert 0 < slow.bytes <= event_messages.MAX_WAITING_BYTES
    assert shop.web_state.broker.bytes_waiting == slow.bytes


def test_a_message_that_is_larger_than_the_room_is_heard_by_who_waits_for_nothing_else() -> None:
    stream = event_messages.Stream(ANYBODY, None, frozenset())
    stream.put(EventMessage(1, "state", SHOP, {}, 2 * event_messages.MAX_WAITING_BYTES))
    assert (stream.missed, stream.waiting.qsize()) == (False, 1)


def test_readings_are_kept_as_many_as_have_room(shop: Site) -> None:
    status_cache = shop.web_state.status_cache
    status_cache._kept = Bounded(300 * KB)
    for number in range(20):
        key = ("status", AppName(f"app-{number}"))
        status_cache._kept.put(key, CachedStatus([f"{number}", "x" * 50 * KB], "", 0.0))
    assert status_cache.bytes <= 300 * KB
    assert status_cache.app(SHOP).value.app == "shop"


def test_nothing_of_apps_that_are_gone_stays_with_whoever_looks(shop: Site) -> None:
    poller = shop.web_state.poller
    poller._views[AppName("gone")] = 1
    with shop.web_state.pool.lend(Actor.of("x")) as s:
        poller._compare(s)
    assert AppName("gone") not in poller._views


def test_no_question_queues_behind_an_engine_that_hangs(shop: Site) -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def hang(_s: Services) -> None:
        begun.release()
        goes_on.wait(LONG)

    def ask(act: Callable[[Services], None], wait: float) -> None:
        with shop.app.test_request_context("/"), pytest.raises(EngineUnavailable):
            bounded_call.call_within(act, "mara", what="the log", wait=wait)

    for _ in range(bounded_call.CALL_THREADS + 3):
        ask(hang, 0.05)
    assert bounded_call._THREADS._work_queue.qsize() == 0
    goes_on.set()
    assert all(begun.acquire(timeout=LONG) for _ in range(bounded_call.CALL_THREADS))
    assert not begun.acquire(blocking=False), "what nobody waited for any more was done all the same"
    with shop.app.test_request_context("/"):
        assert bounded_call.call_within(lambda s: len(s.ledger.apps()), "mara", what="the apps", wait=LONG) == 1


def test_the_meter_measures_no_more_releases_than_it_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployctl.watch import sampler as module

    monkeypatch.setattr(module, "MAX_MEASURED_RELEASES", 3)
    with world(tmp_path) as w:
        made = module.MetricsSampler(lambda: w.s)
        for second in range(2):
            made._take({(SHOP, number): Counters(requests=second) for number in range(10)}, float(second), float(second))
        assert len(made.totals()) == len(made.latest(SHOP)) == 3
        assert 0 < made.bytes < 10 * KB


# -- the watcher ----------------------------------------------------------------------------------------------------------
def test_the_watcher_forgets_apps_that_are_gone(tmp_path: Path) -> None:
    with world(tmp_path) as plain:
        w: World = plain.upgraded("v1")
        watch = Watch(w.s)
        watch.tick(set())
        for app in ("gone", "shop", None):
            watch._failed(app, "no")
        w.clock.sleep(WHOLE)
        watch.tick(set())
        assert "gone" not in watch.complaints
        assert {*watch.patience._until} == {"shop", None}


def test_patience_keeps_what_it_is_told_to() -> None:
    patience = Backoff()
    for key in ("a", "b", None):
        patience.failed(key, 0.0)
    patience.keep({"a", None})
    assert [patience.waits(key, 1.0) for key in ("a", "b", None)] == [True, False, True]


def test_a_bell_that_is_rung_for_too_many_has_rung_for_all() -> None:
    wakeup = Wakeup()
    for number in range(MAX_WOKEN_APPS + 5):
        wakeup.ring(f"app-{number}")
    assert EVERY_APP in wakeup.wait(0)
    wakeup.ring("shop")
    assert wakeup.wait(0) == {"shop"}


# -- what was tried lately ------------------------------------------------------------------------------------------------
def test_tries_from_ever_new_addresses_take_no_more_room_and_each_one_is_limited() -> None:
    """A name of each address that ever tried to sign in was kept forever."""
    tries = ByMinute(5)
    for number in range(3 * 4096):
        assert not tries.count(f"sign_in.enter 2001:db8:{number:x}::", float(number) / 1000)
        assert tries.bytes <= by_minute.MAX_WINDOW_BYTES
    assert [tries.count("sign_in.enter 192.0.2.1", 20.0) > 0 for _ in range(7)] == [False] * 5 + [True] * 2


def test_the_dashboard_counts_tries_and_changes_in_what_is_bounded(shop: Site) -> None:
    named = {store.name: store for store in stores(shop.web_state)}
    browser = shop.browser()
    browser.get("/login")
    assert browser.post("/login", name="mara", password="x" * 20).status_code == 401
    told = {store.name: store for store in stores(shop.web_state)}["recent sign-in attempts"]
    assert named[told.name].bytes == 0 < told.bytes < told.most
