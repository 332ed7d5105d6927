"""Jobs: a rejection is known at once, what takes long continues and is published, and a crash leaves nobody waiting."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import g

from deployctl.domain.host.access import ALL, Principal, Role
from deployctl.domain.images.component import Component
from deployctl.domain.inputs.names import AppName, Version
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import (
    Aborted,
    ConfirmationNeeded,
    DeployctlError,
    Invalid,
    LedgerUnusable,
    NotHealthy,
    StateChanged,
)
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import Reporter, Services
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.verbs.table import VERBS
from deployctl_web.live import jobs as module
from deployctl_web.live.jobs import Job, Jobs, TooManyJobs
from deployctl_web.operations import perform
from deployctl_web.security.rights import Right
from deployctl_web.services_pool import ServicesPool
from tests.unit.api_world import do_instead
from tests.unit.web_world import Site
from tests.unit.world import SHOP, V1, V3, World, world

LONG = 10.0  # seconds
NOTHING = Done("Hold", "shop", "done")


@dataclass
class Bench:
    """A home and the jobs over it. `heard` is what was published, as (step, over?)."""

    w: World
    heard: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = ServicesPool(lambda: self.w.services(ledger=self.w.open_ledger()))
        self.restart()

    def restart(self, *, kept: int = 200, last_wait: float = LONG) -> None:
        """Begin with no jobs."""
        self.jobs = Jobs(self.pool, lambda job: self.heard.append((job.step, job.over)), SystemClock(), kept=kept,
                         last_wait=last_wait)

    def begin(self, act: Callable[[Services], Moved | Done], verb: str = "upgrade") -> Job:
        return self.jobs.begin(verb, SHOP, "mara (web)", act)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """shop serves v2, v1 stands by."""
    with world(tmp_path) as w:
        made = Bench(w.upgraded("v1", "v2"))
        yield made
        made.pool.close()


# -- a job ----------------------------------------------------------------------------------------------------------------
def test_a_job_does_in_a_thread_what_the_command_line_does_in_the_name_of_who_asked(bench: Bench) -> None:
    job = bench.begin(lambda s: upgrade(SHOP, V3, s, options=ChangeOptions("at last")))
    assert job.wait(LONG)
    moved = job.outcome()
    assert isinstance(moved, Moved)
    assert (moved.target, bench.w.serving, job.done, job.error) == ("v3", "v3", True, None)
    newest = bench.w.ledger.changes(SHOP)[0]
    assert (newest.actor, newest.note) == ("mara (web)", "at last")


def test_each_step_is_told_and_the_job_knows_its_deployment(bench: Bench) -> None:
    job = bench.begin(lambda s: upgrade(SHOP, V3, s))
    assert job.wait(LONG)
    steps = [step for step, _over in bench.heard if step]
    assert any("the health of" in step for step in steps), steps
    assert len(dict.fromkeys(steps)) > 3
    assert bench.heard[-1] == ("", True)
    assert job.deployment is not None


def test_a_refusal_is_the_use_cases_own_error(bench: Bench) -> None:
    bench.w.sick["v3"] = 503
    job = bench.begin(lambda s: upgrade(SHOP, V3, s))
    assert job.wait(LONG)
    assert isinstance(job.error, NotHealthy)
    with pytest.raises(NotHealthy):
        job.outcome()
    assert (bench.w.serving, bench.heard[-1][1]) == ("v2", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_ends_the_job_with_a_number_of_words_and_none_of_its_own(bench: Bench) -> None:
    def broken(_s: Services) -> Done:
        raise ZeroDivisionError("the secret is 42")

    job = bench.begin(broken)
    assert job.wait(LONG)
    for thread in threading.enumerate():  # its last words belong to this test
        if thread.name == f"{job.verb} {job.app}":
            thread.join(LONG)
    assert job.error is not None
    assert (job.error.code, "42" in job.error.message) == ("internal", False)
    assert bench.heard[-1] == ("", True)


def test_a_ledger_that_goes_away_before_the_job_has_begun_ends_it_and_that_is_told(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lend = bench.pool.lend

    def away(actor: str, report: Reporter | None = None, **_more: object) -> AbstractContextManager[Services]:
        if report is not None:  # the job's own
            raise LedgerUnusable("the ledger is no ledger")
        return lend(actor)

    monkeypatch.setattr(bench.pool, "lend", away)
    job = bench.begin(lambda _s: NOTHING)
    assert job.wait(LONG)
    assert isinstance(job.error, LedgerUnusable)
    assert bench.heard == [("", True)]


def test_jobs_are_found_by_their_number_and_the_oldest_are_forgotten(bench: Bench) -> None:
    bench.restart(kept=3)
    made = [bench.begin(lambda _s: NOTHING, "hold") for _ in range(5)]
    assert all(job.wait(LONG) for job in made)
    assert [bench.jobs.find(job.id) is not None for job in made] == [False, False, True, True, True]
    assert bench.jobs.under_way(SHOP) == []
    assert len({job.id for job in made}) == 5
    assert bench.jobs.find("") is None


def refused(_s: Services) -> Done:
    """Be refused with as much in reach of the error as a rollback has read."""
    read = [bytes(2**20)]
    try:
        raise ValueError(f"{len(read)} MB are in this frame")
    except ValueError as e:
        raise StateChanged("somebody moved the traffic first", remedy=["look"]) from e


def test_an_error_that_is_kept_holds_nothing_of_where_it_was_raised(bench: Bench) -> None:
    """Each refused rollback kept all releases of its ledger in memory: 200 of them, 900 MB."""
    job = bench.begin(refused)
    assert job.wait(LONG)
    assert job.error is not None
    assert (job.error.__traceback__, job.error.__cause__, job.error.__context__) == (None, None, None)
    assert (job.error.message, job.error.remedy, job.error.code, type(job.error)) == (
        "somebody moved the traffic first", ["look"], "state_changed", StateChanged)


def test_whoever_asks_for_the_outcome_gets_an_error_of_their_own(bench: Bench) -> None:
    job = bench.begin(refused)
    assert job.wait(LONG)
    raised = []
    for _ in range(2):
        with pytest.raises(StateChanged) as caught:
            job.outcome()
        caught.value.details.append("what one answer adds")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert job.error is not None
    assert (job.error.__traceback__, job.error.details) == (None, [])


def test_250_refused_jobs_take_no_more_room_than_what_is_shown_of_them(bench: Bench) -> None:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    assert all(bench.begin(refused).wait(LONG) for _ in range(250))
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 5 * 2**20


def test_what_ended_is_forgotten_when_it_takes_too_much_room(bench: Bench) -> None:
    def wordy(_s: Services) -> Done:
        error = DeployctlError("not healthy")
        error.details = [f"{number} {'x' * 8000}" for number in range(100)]
        raise error

    made = [bench.begin(wordy) for _ in range(20)]
    assert all(job.wait(LONG) for job in made)
    kept = [bench.jobs.find(job.id) for job in made]
    assert kept[0] is None
    assert kept[-1] is made[-1]
    assert 0 < bench.jobs.bytes <= module.MAX_JOBS_BYTES


def test_only_so_many_are_under_way_and_what_goes_back_is_begun_beside_them(bench: Bench) -> None:
    goes_on = threading.Event()
    hung = [bench.begin(lambda _s: (goes_on.wait(LONG), NOTHING)[1]) for _ in range(module.UNDER_WAY)]
    with pytest.raises(TooManyJobs):
        bench.begin(lambda _s: NOTHING)
    back = bench.begin(lambda _s: NOTHING, "rollback")
    assert back.wait(LONG)
    goes_on.set()
    assert all(job.wait(LONG) for job in hung)
    assert bench.begin(lambda _s: NOTHING).wait(LONG)


# -- the end of the process -----------------------------------------------------------------------------------------------
def test_the_end_of_the_process_stops_an_upgrade_before_its_switch_and_takes_it_back(bench: Bench) -> None:
    bench.w.edit(health={"deadline": "600s"})
    bench.w.sick["v3"] = 503
    slept = bench.w.clock.sleep
    bench.w.clock.sleep = lambda seconds: (time.sleep(0.01), slept(seconds))[1]  # type: ignore[method-assign, func-returns-value]
    job = bench.begin(lambda s: upgrade(SHOP, V3, s))
    end = time.monotonic() + LONG
    while "the health of" not in job.step:
        assert time.monotonic() < end
        time.sleep(0.01)
    bench.jobs.close()
    assert job.done
    assert isinstance(job.error, Aborted)
    assert (bench.w.serving, bench.w.containers().get("v3")) == ("v2", None)


def test_the_end_of_the_process_does_not_wait_for_ever(bench: Bench) -> None:
    bench.restart(last_wait=0.1)
    goes_on = threading.Event()
    job = bench.begin(lambda _s: (goes_on.wait(LONG), NOTHING)[1])
    bench.jobs.close()
    assert not job.done
    goes_on.set()
    assert job.wait(LONG)


def test_a_job_that_is_under_way_is_never_forgotten(bench: Bench) -> None:
    bench.restart(kept=3)
    goes_on = threading.Event()
    first = bench.begin(lambda _s: (goes_on.wait(LONG), NOTHING)[1])
    later = [bench.begin(lambda _s: NOTHING, "hold") for _ in range(5)]
    assert all(job.wait(LONG) for job in later)
    bench.begin(lambda _s: NOTHING, "hold").wait(LONG)
    assert bench.jobs.find(first.id) is first
    assert bench.jobs.under_way(SHOP) == [first]
    assert bench.jobs.under_way(AppName("blog")) == []
    goes_on.set()
    assert first.wait(LONG)


def test_a_ledger_that_cannot_be_written_keeps_nobody_from_ending(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.restart(last_wait=1.0)
    goes_on = threading.Event()
    jobs = [bench.begin(lambda _s: (goes_on.wait(LONG), NOTHING)[1]) for _ in range(30)]

    def full(*_words: object, **_more: object) -> None:
        raise DeployctlError("no space left", code="disk_full")

    monkeypatch.setattr(SqliteLedger, "ask_abort", full)
    bench.jobs.close()
    assert not any(job.done for job in jobs)  # waited for one after the other they would have ended by then
    goes_on.set()
    assert all(job.wait(LONG) for job in jobs)


# -- where forms and API meet the verbs -----------------------------------------------------------------------------------
def asked(shop: Site, verb: str, options: ChangeOptions = ChangeOptions(), **given: object) -> Moved | Done | Job:
    with shop.app.test_request_context("/"):
        mara = g.who = Principal("mara", {ALL: Role.ADMIN})
        g.right = Right(mara, lambda _s: mara, shop.web_state.pool)
        return perform(VERBS[verb], SHOP, given, options)


def test_a_warm_rollback_is_answered_when_it_is_done(shop: Site) -> None:
    moved = asked(shop, "rollback", ChangeOptions(if_revision=2), version=V1)
    assert isinstance(moved, Moved)
    assert (moved.source, moved.target, moved.confirmed, shop.w.serving) == ("v2", "v1", True, "v1")
    back = asked(shop, "undo", options=ChangeOptions(if_revision=3, confirmed=True))
    assert isinstance(back, Moved)
    assert (back.target, back.released) == ("v2", ("v2",))


def test_a_refusal_comes_at_once_and_not_as_a_job(shop: Site) -> None:
    with pytest.raises(StateChanged):
        asked(shop, "rollback", ChangeOptions(if_revision=1), version=V1)
    with pytest.raises(StateChanged):
        asked(shop, "upgrade", ChangeOptions(if_revision=1), version=V3)
    with pytest.raises(ConfirmationNeeded):
        asked(shop, "stop", version=Version("v2"))
    assert shop.w.serving == "v2"


def test_refused_rollbacks_with_600_releases_in_the_ledger_leave_nothing_behind(shop: Site) -> None:
    """250 took 850 MB: each refusal kept the frames that it came through, and so every release of the ledger."""
    [newest, *_] = shop.w.ledger.releases(SHOP)
    for number in range(600):
        shop.w.ledger.ensure_release(SHOP, Version(f"past-{number}"), (Component(newest.bundle),), at=shop.w.clock.utc())

    def refusals(count: int) -> None:
        for _ in range(count):
            with pytest.raises(StateChanged):
                asked(shop, "rollback", ChangeOptions(if_revision=1), version=V1)
        gc.collect()

    refusals(5)  # what is made once
    tracemalloc.start()
    try:
        refusals(40)
        assert tracemalloc.get_traced_memory()[0] < 4 * 2**20  # 130 MB when errors were kept as they were raised
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("verb", ["upgrade", "start", "stop", "hold", "unhold"])
def test_a_verb_that_needs_a_version_is_refused_without_one_and_begins_nothing(shop: Site, verb: str) -> None:
    with pytest.raises(Invalid):
        asked(shop, verb)
    assert shop.web_state.jobs.under_way(SHOP) == []


def test_what_takes_longer_than_a_glance_goes_on_as_a_job(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    def slow(**asked: Any) -> Moved | Done:
        assert goes_on.wait(LONG)
        return upgrade(**asked)

    shop.web_state.waits.glance = 0.05
    do_instead(monkeypatch, "upgrade", slow)
    job = asked(shop, "upgrade", version=V3)
    assert isinstance(job, Job)
    assert (job.verb, job.app, job.actor, job.done, shop.w.serving) == ("upgrade", "shop", "mara (web)", False, "v2")
    assert shop.web_state.jobs.find(job.id) is job
    goes_on.set()
    assert job.wait(LONG)
    assert (job.outcome().app, shop.w.serving) == ("shop", "v3")


def test_a_rollback_that_hangs_is_not_waited_for_without_end(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    def hangs(**_asked: object) -> Moved | Done:
        goes_on.wait(LONG)
        raise DeployctlError("it took too long")

    shop.web_state.waits.switch = 0.05
    do_instead(monkeypatch, "rollback", hangs)
    job = asked(shop, "rollback")
    assert isinstance(job, Job)
    goes_on.set()
    assert job.wait(LONG)
    with pytest.raises(DeployctlError):
        job.outcome()


def test_after_a_job_the_board_shows_what_is_so_now(shop: Site) -> None:
    before = shop.web_state.status_cache.app(SHOP).value
    asked(shop, "rollback", ChangeOptions(if_revision=2), version=V1)
    after = shop.web_state.status_cache.app(SHOP).value
    assert [view.active and view.active.version for view in (before, after)] == ["v2", "v1"]
