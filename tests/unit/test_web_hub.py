"""The hub: who looks hears of each change once, whoever made it; who may not see an app hears nothing of it."""

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
from deployctl.errors import LedgerUnusable
from deployctl.ports import Services
from deployctl.ports.metrics import Now
from deployctl.usecases.change.annotate import remark
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.options import Wish
from deployctl_web.live import event_broker as module
from deployctl_web.live import event_messages, poller
from deployctl_web.live.event_broker import Hub
from deployctl_web.live.event_messages import Message, Stream
from deployctl_web.live.jobs import Job
from deployctl_web.live.status_cache import Board
from deployctl_web.services_pool import Pool
from tests.unit.web_world import StillMeter
from tests.unit.world import SHOP, World, world

BLOG = AppName("blog")
MARA = Principal("mara", {ALL: Role.ADMIN})
JONAS = Principal("jonas", {BLOG: Role.ADMIN})
SOON = 3.0  # seconds


@dataclass
class Tower:
    """A home and the hub over it. `lent` lists who was lent services, in order."""

    w: World
    meter: StillMeter = field(default_factory=StillMeter)
    lent: list[str] = field(default_factory=list)
    broken: LedgerUnusable | None = None

    def __post_init__(self) -> None:
        self.pool = Pool(self._connect)
        self.board = Board(self.pool, time.monotonic)
        self.hub = Hub(self.pool, self.board, self.meter)

    def _connect(self) -> Services:
        self.lent.append("connect")
        if self.broken is not None:
            raise self.broken
        return self.w.services(ledger=self.w.open_ledger())

    def open(self, *apps: AppName, who: Principal = MARA, last: int | None = None) -> Stream:
        """Return a stream that has had its snapshot."""
        stream = self.hub.open(who, frozenset(apps) or None, last=last)
        if stream.missed:
            self.hub.snapshot(stream)
        return stream

    def close(self) -> None:
        self.hub.close()
        self.board.close()
        self.pool.close()


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tower]:
    """shop serves v2, v1 stands by; blog has no version. The hub looks a hundred times a second."""
    monkeypatch.setattr(poller, "TICK", 0.01)
    monkeypatch.setattr(poller, "METRICS", 0.05)
    with world(tmp_path) as w:
        w.upgraded("v1", "v2")
        made = Tower(w)
        try:
            yield made
        finally:
            made.close()


def told(stream: Stream, kind: str, so: Callable[[Message], bool] = lambda _: True, *, within: float = SOON) -> Message:
    """Return the first message of that kind that is so; the others before it are let go."""
    end = time.monotonic() + within
    while (left := end - time.monotonic()) > 0:
        message = stream.next(left)
        if message and message.kind == kind and so(message):
            return message
    raise AssertionError(f"nothing of the kind {kind} was told within {within} s")


def all_that_waits(stream: Stream) -> list[Message]:
    found = []
    while (message := stream.next(0)) is not None:
        found.append(message)
    return found


def quiet(stream: Stream, kind: str, seconds: float = 0.3) -> bool:
    time.sleep(seconds)
    return kind not in {message.kind for message in all_that_waits(stream)}


def serves(version: str, revision: int) -> Callable[[Message], bool]:
    """Between HAProxy's switch and the ledger's word of it the revision is still the one before."""
    return lambda message: message.data["revision"] == revision and message.data["active"]["version"] == version


def job(app: AppName = SHOP, **words: Any) -> Job:
    return Job("upgrade", app, "mara (web)", "2026-01-01T00:00:00.000Z", **words)


# -- what is told -------------------------------------------------------------------------------------------------------
def test_a_stream_begins_with_all_that_its_page_shows(tower: Tower) -> None:
    stream = tower.hub.open(MARA, frozenset({SHOP}))
    assert stream.missed
    first = tower.hub.snapshot(stream)
    assert (first.kind, [app["app"] for app in first.data["apps"]]) == ("snapshot", ["shop"])
    assert first.data["apps"][0]["active"]["version"] == "v2"
    assert not stream.missed


def test_a_change_by_another_process_is_told_with_who_serves_now(tower: Tower) -> None:
    """The command line writes through a connection of its own; nothing else tells the hub."""
    stream = tower.open(SHOP)
    tower.w.rollback()
    assert told(stream, "state", serves("v1", 3)).app == "shop"


def test_a_change_is_told_to_those_who_look_at_everything_too(tower: Tower) -> None:
    stream = tower.open()
    tower.w.rollback()
    told(stream, "state", serves("v1", 3))


def test_a_container_that_died_is_told_though_the_ledger_is_still(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "HEALTH", 0.1)
    stream = tower.open(SHOP)
    tower.w.sick["v2"] = 503
    told(stream, "state", lambda message: message.data["state"] == "degraded", within=6)


def test_while_nothing_changes_no_state_is_told(tower: Tower) -> None:
    stream = tower.open(SHOP)
    time.sleep(0.3)
    all_that_waits(stream)
    assert quiet(stream, "state")


def test_an_app_that_was_removed_is_told_to_be_gone(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.w.use(remove_app)
    assert told(stream, "state", lambda message: "gone" in message.data).data == {"app": "shop", "gone": True}


def test_the_progress_of_a_job_is_told_as_it_goes(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.hub.progressed(job(step="wait until shop v3 is healthy", detail="1 of 3 good answers"))
    data = told(stream, "progress").data
    assert (data["verb"], data["step"], data["detail"], data["done"]) == (
        "upgrade", "wait until shop v3 is healthy", "1 of 3 good answers", False)


def test_the_end_of_a_job_makes_the_board_read_anew(tower: Tower) -> None:
    stream = tower.open(SHOP)
    was = tower.board.app(SHOP)
    done = job(result=Done("Hold", "shop", "done"))
    tower.hub.progressed(done)
    assert told(stream, "progress").data["done"] is True
    assert tower.board.app(SHOP).taken > was.taken


def test_counters_are_told_each_second_to_the_page_of_an_app_and_not_to_the_list_of_all(tower: Tower) -> None:
    tower.meter.shown[SHOP] = {2: Now(at=1.0, requests_per_s=214.0, answers_5xx_per_s=4.5)}
    page, home = tower.open(SHOP), tower.open()
    for _ in range(3):
        assert told(page, "metrics").data["releases"][2]["requests_per_s"] == 214.0
    assert quiet(home, "metrics")


def test_a_browser_that_shows_the_list_and_an_app_in_two_tabs_hears_both_on_one_stream(tower: Tower) -> None:
    tower.meter.shown[SHOP] = {2: Now(at=1.0)}
    both = tower.hub.open(MARA, None, closely=frozenset({SHOP}))
    told(both, "metrics")
    tower.hub.publish("state", BLOG, {"n": 1})
    assert told(both, "state", lambda message: message.app == "blog").data == {"n": 1}


# -- to whom ------------------------------------------------------------------------------------------------------------
def test_nobody_hears_of_an_app_that_he_may_not_see(tower: Tower) -> None:
    for stream in (tower.open(who=JONAS), tower.open(BLOG, who=JONAS), tower.open(SHOP, who=JONAS)):
        assert tower.hub.snapshot(stream).data == {"apps": []}
        tower.w.rollback() if tower.w.serving == "v2" else tower.w.undo()
        tower.hub.progressed(job())
        tower.hub.publish("notice", SHOP, {"text": "secret"})
        tower.hub.publish("notice", None, {"text": "of the whole server"})
        time.sleep(0.3)
        assert all_that_waits(stream) == []
        tower.hub.leave(stream)


def test_a_page_hears_only_of_the_apps_that_it_shows(tower: Tower) -> None:
    stream = tower.open(BLOG)
    tower.hub.publish("state", SHOP, {})
    tower.hub.publish("state", BLOG, {})
    assert {message.app for message in all_that_waits(stream)} == {"blog"}


# -- where it goes on ---------------------------------------------------------------------------------------------------
def test_who_comes_back_goes_on_after_the_last_message_he_heard(tower: Tower) -> None:
    stream = tower.open(SHOP)
    for number in range(5):
        tower.hub.publish("progress", SHOP, {"n": number})
    heard = [message for message in all_that_waits(stream) if message.kind == "progress"]
    tower.hub.leave(stream)
    tower.hub.publish("progress", SHOP, {"n": 5})
    back = tower.hub.open(MARA, frozenset({SHOP}), last=heard[2].id)
    assert not back.missed
    missed = [message.data["n"] for message in all_that_waits(back) if message.kind == "progress"]
    assert missed == [3, 4, 5]


def test_who_comes_back_hears_of_what_was_changed_while_nobody_looked(tower: Tower) -> None:
    """A reason that was noted, or a deployment that failed, changes nothing of who serves and how well."""
    stream = tower.open(SHOP)
    told(stream, "state")
    time.sleep(0.2)
    tower.hub.publish("progress", SHOP, {})
    heard = all_that_waits(stream)[-1].id
    tower.hub.leave(stream)
    time.sleep(0.2)
    remark(SHOP, tower.w.services(ledger=tower.w.open_ledger()), wish=Wish("checkout 500s"))
    back = tower.hub.open(MARA, frozenset({SHOP}), last=heard)
    assert not back.missed
    assert told(back, "state", within=1.0).app == "shop"


@pytest.mark.parametrize("last", [0, 1, 10**12])
def test_who_comes_back_with_a_number_that_is_not_known_begins_anew(tower: Tower, last: int) -> None:
    tower.hub.publish("progress", SHOP, {})
    assert tower.hub.open(MARA, frozenset({SHOP}), last=last).missed


def test_who_was_away_for_too_long_begins_anew(tower: Tower) -> None:
    stream = tower.open(SHOP)
    tower.hub.publish("progress", SHOP, {})
    first = told(stream, "progress").id
    for _ in range(module.KEPT + 1):
        tower.hub.publish("progress", SHOP, {})
    assert tower.hub.open(MARA, frozenset({SHOP}), last=first).missed


def test_a_number_of_the_process_before_is_not_taken_for_ours(tower: Tower) -> None:
    """Numbers begin with the seconds of the clock: a process that told less than one message a second stays below."""
    tower.hub.publish("progress", SHOP, {})
    before = int(time.time()) - 3600
    assert tower.hub.open(MARA, frozenset({SHOP}), last=before).missed


def test_a_slow_reader_begins_anew_and_is_not_told_old_states_after_the_fresh_one(tower: Tower) -> None:
    stream = tower.open(SHOP)
    time.sleep(0.2)
    all_that_waits(stream)
    for number in range(event_messages.BEHIND + 1):
        tower.hub.publish("state", SHOP, {"n": number})
    assert stream.missed
    anew = tower.hub.snapshot(stream)
    assert not stream.missed
    assert [message for message in all_that_waits(stream) if message.id <= anew.id] == []
    tower.hub.publish("progress", SHOP, {"n": "later"})
    assert told(stream, "progress").data == {"n": "later"}


# -- how many -----------------------------------------------------------------------------------------------------------
def over(streams: Iterable[Stream]) -> list[bool]:
    return [stream.over for stream in streams]


def test_one_session_has_a_few_streams_and_the_newest_ones_stay(tower: Tower) -> None:
    other = tower.hub.open(replace(MARA, session=8), None)
    streams = [tower.hub.open(MARA, None) for _ in range(module.EACH + 2)]
    assert over(streams) == [True, True] + [False] * module.EACH
    assert (other.over, streams[0].displaced, tower.hub.displaced) == (False, True, 2)
    tower.hub.leave(streams[5])
    tower.hub.leave(streams[5])
    assert not tower.hub.open(MARA, None).over
    assert over(streams) == [True, True] + [False] * module.EACH, "there was room"


def test_where_all_are_taken_a_newcomer_takes_the_oldest_one_of_whoever_has_most(tower: Tower) -> None:
    jonas = [tower.hub.open(replace(MARA, name="jonas"), None) for _ in range(2)]
    greedy = [tower.hub.open(replace(MARA, name="greedy", session=number), None) for number in range(module.MOST - 2)]
    assert not any(over(greedy)), "24 are open, each in a session of its own"
    mine = [tower.hub.open(MARA, None) for _ in range(3)]
    assert over(greedy) == [True] * 3 + [False] * (module.MOST - 5)
    assert over(jonas + mine) == [False] * 5


def test_a_stream_whose_browser_has_hung_up_makes_room_for_the_next_one(tower: Tower) -> None:
    people = [replace(MARA, name=f"p{number}") for number in range(module.MOST)]
    there = [tower.hub.open(who, None) for who in people[1:]]
    gone = tower.hub.open(people[0], None, gone=lambda: True)
    assert not gone.over, "it is not asked before its place is wanted"
    tower.hub.open(MARA, None)
    assert gone.over
    assert not any(over(there))


def test_while_nobody_looks_nothing_is_read(tower: Tower) -> None:
    time.sleep(0.3)
    assert tower.lent == []
    stream = tower.open(SHOP)
    told(stream, "state", within=SOON)
    tower.hub.leave(stream)
    time.sleep(0.2)
    asked, looks = len(tower.lent), tower.w.traffic.routes
    calls: list[int] = []
    tower.w.traffic.routes = lambda: (calls.append(1), looks())[1]  # type: ignore[method-assign, func-returns-value]
    tower.w.rollback()
    calls.clear()
    time.sleep(0.3)
    assert (calls, len(tower.lent)) == ([], asked)
    assert not tower.hub.watched


# -- when things break --------------------------------------------------------------------------------------------------
def test_a_ledger_that_is_away_is_told_and_the_streams_go_on_when_it_is_back(tower: Tower) -> None:
    tower.broken = LedgerUnusable("the ledger is no ledger")
    stream = tower.hub.open(MARA, frozenset({SHOP}))
    assert told(stream, "notice").data == {"text": "the ledger is no ledger"}
    tower.broken = None
    time.sleep(0.2)
    tower.w.rollback()
    told(stream, "state", serves("v1", 3))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_ends_the_streams_and_not_the_watching(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose stream stays open and silent would say that it is live, and show what was."""
    stream, whole = tower.open(SHOP), tower.board.app
    told(stream, "state")

    def broken(_app: AppName) -> None:
        monkeypatch.setattr(tower.board, "app", whole)
        raise KeyError("shop")

    tower.hub.publish("progress", SHOP, {})
    last = told(stream, "progress").id
    monkeypatch.setattr(tower.board, "app", broken)
    tower.w.rollback()
    end = time.monotonic() + SOON
    while not stream.over and time.monotonic() < end:
        stream.next(0.1)
    assert stream.over
    tower.hub.leave(stream)
    back = tower.hub.open(MARA, frozenset({SHOP}), last=last)
    assert back.missed  # what was told is not all that happened
    tower.hub.snapshot(back)
    tower.w.undo()
    told(back, "state", serves("v2", 4))


def test_closing_ends_the_streams_at_once_and_the_thread_that_watches(tower: Tower) -> None:
    stream = tower.open(SHOP)
    all_that_waits(stream)
    waiting = threading.Thread(target=stream.next, args=(30.0,))
    waiting.start()
    tower.hub.close()
    waiting.join(SOON)
    assert stream.over
    assert not waiting.is_alive()
    assert [thread for thread in threading.enumerate() if thread.name == "lookout"] == []
