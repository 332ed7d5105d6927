"""The broker: watchers receive each change once, from any process; nobody receives changes of an app they may not
see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import ALL, Principal, Role
from deployctl.domain.inputs.names import AppName
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import LedgerUnusable
from deployctl.ports import Services
from deployctl.ports.metrics import Now
from deployctl.usecases.change.annotate import annotate
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.options import ChangeOptions
from deployctl_web.live import event_broker as module
from deployctl_web.live import event_messages
from deployctl_web.live.event_broker import EventBroker
from deployctl_web.live.event_messages import EventMessage, Stream
from deployctl_web.live.jobs import Job
from deployctl_web.live.poller import Poller
from deployctl_web.live.status_cache import StatusCache
from deployctl_web.services_pool import ServicesPool
from deployctl_web.waits import Waits
from tests.unit.web_world import StillMeter
from tests.unit.world import SHOP, World, world

BLOG = AppName("blog")
MARA = Principal("mara", {ALL: Role.ADMIN})
JONAS = Principal("jonas", {BLOG: Role.ADMIN})
SOON, TICK = 3.0, 0.1  # seconds of the clock that the tests wind
GUARD = 20.0  # seconds after which a thread is taken for stuck


@dataclass
class Tower:
    """A home and the hub over it. `lent` lists who was lent services, in order."""

    w: World
    meter: StillMeter = field(default_factory=StillMeter)
    lent: list[str] = field(default_factory=list)
    broken: LedgerUnusable | None = None

    def __post_init__(self) -> None:
        self.pool = ServicesPool(self._connect)
        self.status_cache = StatusCache(self.pool, self.w.clock.now)
        self.broker = EventBroker(self.status_cache)
        self.poller = Poller(self.broker, self.pool, self.status_cache, self.meter, self.w.clock, Waits())
        self._looks = self.poller.looks()
        self._pause: float | None = next(self._looks)  # None: it waits until somebody looks

    def _connect(self) -> Services:
        self.lent.append("connect")
        if self.broken is not None:
            raise self.broken
        return self.w.services(ledger=self.w.open_ledger())

    def open(self, *apps: AppName, who: Principal = MARA, last: int | None = None) -> Stream:
        """Return a stream that has had its snapshot."""
        stream = self.broker.open(who, frozenset(apps) or None, last=last)
        if stream.missed:
            self.broker.snapshot(stream)
        return stream

    def wait(self, seconds: float) -> None:
        """Let so much time pass for the one that looks; this test's own thread does what the lookout's would."""
        until = self.w.clock.now() + seconds
        while self.w.clock.now() < until and (self._pause is not None or self.broker.someone.is_set()):
            self.w.clock.sleep(self._pause or 0.0)
            self._pause = next(self._looks)

    def close(self) -> None:
        self.broker.close()
        del self._looks  # gives back what it was lent
        self.poller.join()
        self.status_cache.close()
        self.pool.close()


@pytest.fixture
def tower(tmp_path: Path) -> Iterator[Tower]:
    """shop serves v2, v1 stands by; blog has no version."""
    with world(tmp_path) as w:
        w.upgraded("v1", "v2")
        made = Tower(w)
        try:
            yield made
        finally:
            made.close()


def told(tower: Tower, stream: Stream, kind: str, so: Callable[[EventMessage], bool] = lambda _: True, *,
         within: float = SOON) -> EventMessage:
    """Return the first message of that kind that is so, once time has passed; the others before it are let go."""
    until = tower.w.clock.now() + within
    while True:
        while (message := stream.next(0)) is not None:
            if message.kind == kind and so(message):
                return message
        assert tower.w.clock.now() < until, f"nothing of the kind {kind} was told within {within} s"
        before = tower.w.clock.now()
        tower.wait(TICK)
        tower.w.clock.sleep(max(0.0, before + TICK - tower.w.clock.now()))  # nobody watches: time passes anyway


def all_that_waits(stream: Stream) -> list[EventMessage]:
    found = []
    while (message := stream.next(0)) is not None:
        found.append(message)
    return found


def quiet(tower: Tower, stream: Stream, kind: str, seconds: float = 20.0) -> bool:
    tower.wait(seconds)
    return kind not in {message.kind for message in all_that_waits(stream)}


def serves(version: str, revision: int) -> Callable[[EventMessage], bool]:
    """Between HAProxy's switch and the ledger's word of it the revision is still the one before."""
    return lambda message: message.data["revision"] == revision and message.data["active"]["version"] == version


def job(app: AppName = SHOP, **words: Any) -> Job:
    return Job("upgrade", app, "mara (web)", "2026-01-01T00:00:00.000Z", **words)


# -- what is published ---------------------------------------------------------------------------------------------------
def test_a_stream_begins_with_all_that_its_page_shows(tower: Tower) -> None:
    stream = tower.broker.open(MARA, frozenset({SHOP}))
    assert stream.missed
    first = tower.broker.snapshot(stream)
    assert (first.kind, [app["app"] for app in first.data["apps"]]) == ("snapshot", ["shop"])
    assert first.data["apps"][0]["active"]["version"] == "v2"
    assert not stream.missed


def test_a_change_by_another_process_is_told_with_who_serves_now(tower: Tower) -> None:
    """The command line writes through a connection of its own; nothing else tells the hub."""
    stream = tower.open(SHOP)
    tower.w.rollback()
    assert told(tower, stream, "state", serves("v1", 3)).app == "shop"


def test_a_change_is_told_to_those_who_look_at_everything_too(tower: Tower) -> None:
    stream = tower.open()
    tower.w.rollback()
    told(tower, stream, "state", serves("v1", 3))


def test_a_container_that_died_is_told_though_the_ledger_is_still(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.wait(TICK)
    tower.w.sick["v2"] = 503
    told(tower, stream, "state", lambda message: message.data["state"] == "degraded", within=6)


def test_while_nothing_changes_no_state_is_told(tower: Tower) -> None:
    stream = tower.open(SHOP)
    told(tower, stream, "state")
    assert quiet(tower, stream, "state")


def test_an_app_that_was_removed_is_told_to_be_gone(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.w.use(remove_app)
    assert told(tower, stream, "state", lambda message: "gone" in message.data).data == {"app": "shop", "gone": True}


def test_the_progress_of_a_job_is_told_as_it_goes(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.broker.progressed(job(step="wait until shop v3 is healthy", detail="1 of 3 probes passed"))
    data = told(tower, stream, "progress").data
    assert (data["verb"], data["step"], data["detail"], data["done"]) == (
        "upgrade", "wait until shop v3 is healthy", "1 of 3 probes passed", False)


def test_the_end_of_a_job_makes_the_board_read_anew(tower: Tower) -> None:
    stream = tower.open(SHOP)
    was = tower.status_cache.app(SHOP)
    tower.w.clock.sleep(0.01)
    done = job(result=Done("Hold", "shop", "done"))
    tower.broker.progressed(done)
    assert told(tower, stream, "progress").data["done"] is True
    assert tower.status_cache.app(SHOP).taken > was.taken


def test_counters_are_told_each_second_to_the_page_of_an_app_and_not_to_the_list_of_all(tower: Tower) -> None:
    tower.meter.shown[SHOP] = {2: Now(at=1.0, requests_per_s=214.0, answers_5xx_per_s=4.5)}
    page, home = tower.open(SHOP), tower.open()
    for _ in range(3):
        assert told(tower, page, "metrics").data["releases"][2]["requests_per_s"] == 214.0
    assert quiet(tower, home, "metrics")


def test_a_browser_that_shows_the_list_and_an_app_in_two_tabs_hears_both_on_one_stream(tower: Tower) -> None:
    tower.meter.shown[SHOP] = {2: Now(at=1.0)}
    both = tower.broker.open(MARA, None, closely=frozenset({SHOP}))
    told(tower, both, "metrics")
    tower.broker.publish("state", BLOG, {"n": 1})
    assert told(tower, both, "state", lambda message: message.app == "blog").data == {"n": 1}


# -- to whom ------------------------------------------------------------------------------------------------------------
def test_nobody_hears_of_an_app_that_he_may_not_see(tower: Tower) -> None:
    for stream in (tower.open(who=JONAS), tower.open(BLOG, who=JONAS), tower.open(SHOP, who=JONAS)):
        assert tower.broker.snapshot(stream).data == {"apps": []}
        tower.w.rollback() if tower.w.serving == "v2" else tower.w.undo()
        tower.broker.progressed(job())
        tower.broker.publish("notice", SHOP, {"text": "secret"})
        tower.broker.publish("notice", None, {"text": "of the whole server"})
        tower.wait(20.0)
        assert [message for message in all_that_waits(stream) if message.app != BLOG] == []
        tower.broker.leave(stream)


def test_a_page_hears_only_of_the_apps_that_it_shows(tower: Tower) -> None:
    stream = tower.open(BLOG)
    tower.broker.publish("state", SHOP, {})
    tower.broker.publish("state", BLOG, {})
    assert {message.app for message in all_that_waits(stream)} == {"blog"}


# -- where it goes on ---------------------------------------------------------------------------------------------------
def test_who_comes_back_goes_on_after_the_last_message_he_heard(tower: Tower) -> None:
    stream = tower.open(SHOP)
    for number in range(5):
        tower.broker.publish("progress", SHOP, {"n": number})
    heard = [message for message in all_that_waits(stream) if message.kind == "progress"]
    tower.broker.leave(stream)
    tower.broker.publish("progress", SHOP, {"n": 5})
    back = tower.broker.open(MARA, frozenset({SHOP}), last=heard[2].id)
    assert not back.missed
    missed = [message.data["n"] for message in all_that_waits(back) if message.kind == "progress"]
    assert missed == [3, 4, 5]


def test_who_comes_back_hears_of_what_was_changed_while_nobody_looked(tower: Tower) -> None:
    """A note, or a failed deployment, changes nothing about which version is live and how healthy it is."""
    stream = tower.open(SHOP)
    told(tower, stream, "state")
    tower.broker.publish("progress", SHOP, {})
    heard = all_that_waits(stream)[-1].id
    tower.broker.leave(stream)
    tower.wait(1.0)
    with tower.w.beside() as other:
        annotate(SHOP, other, options=ChangeOptions("checkout 500s"))
    back = tower.broker.open(MARA, frozenset({SHOP}), last=heard)
    assert not back.missed
    assert told(tower, back, "state", within=1.0).app == "shop"


def test_who_comes_back_to_an_app_that_changed_while_others_were_looked_at_begins_anew(tower: Tower) -> None:
    """Somebody's stream kept the poller going, which publishes nothing of an app that no page shows."""
    blog, stream = tower.open(BLOG), tower.open(SHOP)
    told(tower, stream, "state")
    tower.broker.publish("progress", SHOP, {})
    heard = all_that_waits(stream)[-1].id
    tower.broker.leave(stream)
    with tower.w.beside() as other:
        annotate(SHOP, other, options=ChangeOptions("checkout 500s"))
    tower.wait(1.0)
    back = tower.broker.open(MARA, frozenset({SHOP}), last=heard)
    assert back.missed
    assert not blog.missed


def test_a_page_that_opens_while_its_app_is_passed_over_begins_anew(tower: Tower) -> None:
    blog, stream = tower.open(BLOG), tower.open(SHOP)
    tower.broker.skip({SHOP})
    assert (stream.missed, blog.missed) == (True, False)


@pytest.mark.parametrize("last", [0, 1, 10**12])
def test_who_comes_back_with_a_number_that_is_not_known_begins_anew(tower: Tower, last: int) -> None:
    tower.broker.publish("progress", SHOP, {})
    assert tower.broker.open(MARA, frozenset({SHOP}), last=last).missed


def test_who_was_away_for_too_long_begins_anew(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.broker.publish("progress", SHOP, {})
    first = told(tower, stream, "progress").id
    for _ in range(module.MAX_KEPT_MESSAGES + 1):
        tower.broker.publish("progress", SHOP, {})
    assert tower.broker.open(MARA, frozenset({SHOP}), last=first).missed


def test_a_number_of_the_process_before_is_not_taken_for_ours(tower: Tower) -> None:
    """Numbers begin with the seconds of the clock: a process that told less than one message a second stays below."""
    tower.broker.publish("progress", SHOP, {})
    before = int(time.time()) - 3600
    assert tower.broker.open(MARA, frozenset({SHOP}), last=before).missed


def test_a_slow_reader_begins_anew_and_is_not_told_old_states_after_the_fresh_one(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.wait(TICK)
    all_that_waits(stream)
    for number in range(event_messages.BEHIND + 1):
        tower.broker.publish("state", SHOP, {"n": number})
    assert stream.missed
    anew = tower.broker.snapshot(stream)
    assert not stream.missed
    assert [message for message in all_that_waits(stream) if message.id <= anew.id] == []
    tower.broker.publish("progress", SHOP, {"n": "later"})
    assert told(tower, stream, "progress").data == {"n": "later"}


# -- how many -----------------------------------------------------------------------------------------------------------
def over(streams: Iterable[Stream]) -> list[bool]:
    return [stream.over for stream in streams]


def test_one_session_has_a_few_streams_and_the_newest_ones_stay(tower: Tower) -> None:
    other = tower.broker.open(replace(MARA, session=8), None)
    streams = [tower.broker.open(MARA, None) for _ in range(module.EACH + 2)]
    assert over(streams) == [True, True] + [False] * module.EACH
    assert (other.over, streams[0].displaced, tower.broker.displaced) == (False, True, 2)
    tower.broker.leave(streams[5])
    tower.broker.leave(streams[5])
    assert not tower.broker.open(MARA, None).over
    assert over(streams) == [True, True] + [False] * module.EACH, "there was room"


def test_where_all_are_taken_a_newcomer_takes_the_oldest_one_of_whoever_has_most(tower: Tower) -> None:
    jonas = [tower.broker.open(replace(MARA, name="jonas"), None) for _ in range(2)]
    greedy = [tower.broker.open(replace(MARA, name="greedy", session=number), None) for number in range(module.MAX_STREAMS - 2)]
    assert not any(over(greedy)), "24 are open, each in a session of its own"
    mine = [tower.broker.open(MARA, None) for _ in range(3)]
    assert over(greedy) == [True] * 3 + [False] * (module.MAX_STREAMS - 5)
    assert over(jonas + mine) == [False] * 5


def test_a_stream_whose_browser_has_hung_up_makes_room_for_the_next_one(tower: Tower) -> None:
    people = [replace(MARA, name=f"p{number}") for number in range(module.MAX_STREAMS)]
    there = [tower.broker.open(who, None) for who in people[1:]]
    gone = tower.broker.open(people[0], None, gone=lambda: True)
    assert not gone.over, "it is not asked before its place is wanted"
    tower.broker.open(MARA, None)
    assert gone.over
    assert not any(over(there))


def test_while_nobody_looks_nothing_is_read(tower: Tower) -> None:
    tower.wait(20.0)
    assert tower.lent == []
    stream = tower.open(SHOP)
    told(tower, stream, "state", within=SOON)
    tower.broker.leave(stream)
    tower.wait(20.0)
    asked, looks = len(tower.lent), tower.w.traffic.routes
    calls: list[int] = []
    tower.w.traffic.routes = lambda: (calls.append(1), looks())[1]  # type: ignore[method-assign, func-returns-value]
    tower.w.rollback()
    calls.clear()
    tower.wait(20.0)
    assert (calls, len(tower.lent)) == ([], asked)
    assert not tower.broker.watched


# -- when things break --------------------------------------------------------------------------------------------------
def test_a_ledger_that_is_away_is_told_and_the_streams_go_on_when_it_is_back(tower: Tower) -> None:
    tower.broken = LedgerUnusable("the ledger is no ledger")
    stream = tower.broker.open(MARA, frozenset({SHOP}))
    assert told(tower, stream, "notice").data == {"text": "the ledger is no ledger"}
    tower.broken = None
    tower.w.rollback()
    told(tower, stream, "state", serves("v1", 3))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_ends_the_streams_and_not_the_watching(tower: Tower) -> None:
    """A page whose stream stays open and silent would say that it is live, and show what was."""
    stream = tower.open(SHOP)
    told(tower, stream, "state")
    tower.broker.publish("progress", SHOP, {})
    last = told(tower, stream, "progress").id
    poller = Mistaken(tower.broker, tower.pool, tower.status_cache, tower.meter, SystemClock(), Waits(tick=0.01))
    poller.begin()
    assert poller.began_again.wait(GUARD)
    assert stream.over
    tower.broker.leave(stream)
    back = tower.broker.open(MARA, frozenset({SHOP}), last=last)
    assert back.missed  # what was published is not all that happened
    tower.broker.close()
    poller.join()
    poller.first.join(GUARD)  # or its end would be another test's


class Mistaken(Poller):
    """A lookout that stumbles at its first look."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.times, self.began_again = 0, threading.Event()
        self.first = threading.current_thread()  # that stumbles

    def looks(self) -> Iterator[float | None]:
        self.times += 1
        if self.times == 1:
            self.first = threading.current_thread()
        if self.times > 1:
            self.began_again.set()
            yield from super().looks()
            return
        yield 0.0
        raise KeyError("shop")


def test_where_nobody_looked_the_end_reads_nothing(tower: Tower) -> None:
    poller = Poller(tower.broker, tower.pool, tower.status_cache, tower.meter, SystemClock(), Waits())
    poller.begin()
    tower.broker.close()
    poller.join()
    assert tower.lent == []


def test_closing_ends_the_streams_at_once_and_the_thread_that_watches(tower: Tower) -> None:
    poller = Poller(tower.broker, tower.pool, tower.status_cache, tower.meter, SystemClock(), Waits(tick=0.01))
    poller.begin()
    stream = tower.open(SHOP)
    all_that_waits(stream)
    waiting = threading.Thread(target=stream.next, args=(30.0,))
    waiting.start()
    tower.broker.close()
    poller.join()
    waiting.join(GUARD)
    assert stream.over
    assert not waiting.is_alive()
    assert [thread for thread in threading.enumerate() if thread.name == "poller"] == []
