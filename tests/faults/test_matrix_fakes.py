"""Over the fakes: the n-th act of each verb fails, hangs or is done without a response, for n = 1, 2, 3 … to its end.

A transient fault must leave nothing behind but what `status` reports; a lasting one is settled by the next command,
once it is over. Dying there is covered in tests/unit/test_crashes.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deployctl.domain.change.deployment import Phase
from deployctl.errors import DeployctlError
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from tests.faults.injector import Fault, Moment, faulty
from tests.faults.outcomes import Book, Outcome
from tests.unit import test_crashes
from tests.unit.test_crashes import require_history, require_settled, settle
from tests.unit.world import World, world

WAYS = {"fails": ("fail", "before"), "is carried out without a response": ("fail", "after"), "hangs": ("hang", "before"),
        "is carried out and hangs": ("hang", "after")}
STORIES = test_crashes.STORIES
PORTS = ("engine", "traffic", "guard", "ledger")
# A ledger that is written and says it is not does not exist: SQLite's commit is the answer.
CELLS = [(port, way) for port in PORTS for way in WAYS if port != "ledger" or WAYS[way][1] == "before"]


def run(w: World, name: str, moment: Moment, ports: tuple[str, ...]) -> DeployctlError | None:
    """Run the story's verb; every error that comes out of it is one of ours."""
    try:
        STORIES[name].verb(faulty(w.s, moment, ports=ports))
    except DeployctlError as e:
        return e
    return None


def require_honest(w: World, name: str, error: DeployctlError | None) -> None:
    """Before anything is settled: clients get one of the two versions, and a reported success is true."""
    assert w.serving in STORIES[name].ends
    if error is None:
        assert w.active == w.serving == STORIES[name].ends[-1]
    else:
        assert error.message


@pytest.mark.parametrize(("port", "way"), CELLS)
@pytest.mark.parametrize("name", STORIES)
def test_one_call_that_goes_wrong_leaves_a_legal_end(tmp_path: Path, book: Book, name: str, port: str, way: str) -> None:
    number = 0
    while True:
        number += 1
        home = tmp_path / f"{number}"
        home.mkdir()
        with world(home) as w:
            STORIES[name].begin(w)
            moment = Moment(Fault(*WAYS[way], "call", str(number)), w.clock)
            error = run(w, name, moment, (port,))
            require_honest(w, name, error)
            end_process(w)
            settle(w)
            if name == "prune" or WAYS[way][1] == "after":
                w.use(prune)  # what was reported as incomplete is typed again, and so is what could not be stopped
            require_legal_end(w, name, f"{port} {way} at act {number}")
        if not moment.over:
            book.write(Outcome(f"{port} {way} (fakes)", name, f"a legal outcome after each of {number - 1} calls"))
            return


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", STORIES)
def test_what_is_away_from_one_call_on_is_settled_when_it_is_back(tmp_path: Path, book: Book, name: str, port: str) -> None:
    number = 0
    while True:
        number += 1
        home = tmp_path / f"{number}"
        home.mkdir()
        with world(home) as w:
            STORIES[name].begin(w)
            moment = Moment(Fault("fail", "before", "call", str(number)), w.clock, lasting=True)
            error = run(w, name, moment, (port,))
            require_honest(w, name, error)
            end_process(w)
            settle(w)
            if name == "prune":
                w.use(prune)  # what was reported as incomplete is typed again
            require_legal_end(w, name, f"{port} away from act {number} on")
        if not moment.over:
            book.write(Outcome(f"{port} unreachable (fakes)", name, f"a legal outcome from each of {number - 1} calls on"))
            return


def end_process(w: World) -> None:
    """The one that had the lease is gone, given back or not."""
    w.ledger.db.execute("update leases set pid_start = -1")


def require_legal_end(w: World, name: str, where: str) -> None:
    try:
        if stuck(w):
            assert w.serving in STORIES[name].ends
        else:
            require_settled(w, STORIES[name].ends)
            require_history(w)
            reconcile(w.s)
            require_whole(w)
    except AssertionError as e:
        e.add_note(f"{name}: {where}")
        raise


def require_whole(w: World) -> None:
    """All of the live release runs, and no replica too many is left of any."""
    release = w.release(w.serving) if w.serving else None
    if release is not None:
        left = {i.id: i.container or "" for i in w.ledger.instances() if i.release == release.number}
        assert {*release.instances} <= {*left} <= {*release.containers}
        assert all(w.engine.find_container(left[one]).running for one in release.instances)  # type: ignore[union-attr]


def stuck(w: World) -> bool:
    """Return whether manual intervention was requested: then nothing was guessed."""
    told = [d.phase for d in w.ledger.deployments(next(iter(w.files)))]
    return bool(told) and told[0] is Phase.STUCK
