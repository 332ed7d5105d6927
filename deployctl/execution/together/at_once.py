"""Takes several steps at once: effects in threads, everything else in the thread of the run.

Only that thread writes the ledger, reports, and reads whether the lease is still held or an abort was asked. A failure of
one step stops the others; what they had begun is in the journal, so that it is reverted like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from threading import Event

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.order import may_begin, most_awaited_first
from deployctl.domain.change.plan import StepKind
from deployctl.execution.actions import COURSES
from deployctl.execution.course import NoLedger
from deployctl.execution.fence import fenced, taken_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.plan import Step
    from deployctl.execution.course import Check, Course, Effect
    from deployctl.execution.runner import OpenStep, Walk
    from deployctl.ports import Clock, Services

LOOK = 0.1  # seconds between two checks whether the run may continue
LONGEST_END = 15.0  # seconds that a request to the engine in progress may take to end once the others were stopped


class GaveWay(Exception):
    """The effect ended early because the run is to stop."""

    def __str__(self) -> str:
        return "stopped with the others"


def take_at_once(walk: Walk, steps: Sequence[Step], take: Callable[[Step], None]) -> None:
    """Take the steps, each as soon as what it needs is done. Raises the first failure, once all others have ended.

    Containers are created with `take`, one after the other: who shares a fresh volume must not be created before its owner.
    """
    release, team = walk.facts.releases[steps[0].release], _Team(walk, len(steps))
    waiting, to_create = [one for one in steps if one.kind in COURSES], [one for one in steps if one.kind not in COURSES]
    try:
        while waiting or to_create or team.busy:
            unfinished = [*waiting, *to_create, *team.steps]
            for step in most_awaited_first([one for one in waiting if may_begin(one, release, unfinished)], release):
                if step.kind is not StepKind.START or _starting(team) < walk.services.hands:
                    waiting.remove(step)
                    team.begin(step, COURSES[step.kind](walk, step), walk.begin(step))
            if to_create:
                take(to_create.pop(0))
            team.settle(0 if to_create else LOOK)
    finally:
        team.end()


def _starting(team: _Team) -> int:
    """Return how many are being started. That takes the engine's and the kernel's CPU; a health check mostly waits."""
    return sum(step.kind is StepKind.START for step in team.steps)


def finish_at_once(walk: Walk, courses: Mapping[Step, Course]) -> None:
    """Bring the courses of one step to their ends, several at a time. Raises the first failure, once all have ended."""
    team, left = _Team(walk, walk.services.hands), [*courses.items()]
    try:
        while left or team.busy:
            while left and len(team.steps) < walk.services.hands:
                team.begin(*left.pop(0))
            team.settle(LOOK)
    finally:
        team.end()


@dataclass(slots=True)
class _Running:
    """A course in progress: the step that it is about, and that step's place in the journal if it has one of its own."""

    step: Step
    course: Course
    opened: OpenStep | None


class _Team:
    """Courses in progress, and the threads that carry out their effects."""

    def __init__(self, walk: Walk, most: int) -> None:
        self._walk = walk
        self._running: dict[Future[Any], _Running] = {}
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=f"{walk.plan.kind} {walk.plan.app}")
        self._over = Event()
        self._details: SimpleQueue[tuple[Step, str]] = SimpleQueue()

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def steps(self) -> list[Step]:
        """Return the steps in progress."""
        return [one.step for one in self._running.values()]

    def begin(self, step: Step, course: Course, opened: OpenStep | None = None) -> None:
        self._go_on(_Running(step, course, opened), lambda: next(course))

    def settle(self, within: float) -> None:
        """Wait until an effect has ended, and let its course go on in this thread."""
        done, _ = wait(self._running, timeout=within, return_when=FIRST_COMPLETED)
        self._tell_details()
        if not done:
            self._walk.check()
        for answer in done:
            self._answer(self._running.pop(answer), answer)

    def _answer(self, one: _Running, answer: Future[Any]) -> None:
        failure = answer.exception()
        if failure is not None:
            self._go_on(one, lambda: one.course.throw(failure))
        else:
            self._go_on(one, lambda: one.course.send(answer.result()))

    def _go_on(self, one: _Running, move: Callable[[], Effect]) -> None:
        """Give its next effect to a thread, or end the step."""
        try:
            effect = move()
        except StopIteration as end:
            self._end(one, text=str(end.value))
        except BaseException as e:
            self._end(one, failure=e)
            raise
        else:
            self._running[self._threads.submit(self._carry_out, one.step, effect)] = one

    def _end(self, one: _Running, *, text: str = "", failure: BaseException | None = None) -> None:
        if one.opened is not None:
            self._walk.end(one.opened, text=text, failure=failure)

    def _carry_out(self, step: Step, effect: Effect) -> Any:
        """Run in a thread."""
        self._check()
        app, token = self._walk.plan.app, self._walk.token
        with self._walk.unfenced.ledger.lease_beside(app, token) as is_ours:
            def require_lease() -> None:
                self._check()
                if not is_ours():
                    raise taken_over(app)

            return effect(fenced(self._beside(step), require_lease), self._check)

    def _check(self) -> None:
        if self._over.is_set():
            raise GaveWay

    def _beside(self, step: Step) -> Services:
        """Return the services as an effect may use them in a thread."""
        s = self._walk.unfenced
        report: Any = _Details(self._details, step)
        ledger: Any = NoLedger()
        return replace(s, clock=_Clock(s.clock, self._over, self._check), report=report, ledger=ledger)

    def _tell_details(self) -> None:
        try:
            while True:
                step, text = self._details.get_nowait()
                self._walk.services.report.detail(text, step)
        except Empty:
            return

    def end(self) -> None:
        """Stop what is still in progress. What a thread has begun at the engine ends before anything is reverted."""
        self._over.set()
        self._threads.shutdown(wait=False)
        wait(self._running, timeout=LONGEST_END)
        for one in self._running.values():
            one.course.close()
            self._end(one, failure=GaveWay())


# -- what an effect sees of the services in a thread -------------------------------------------------------------------
class _Clock:
    """The clock; a sleep ends when the run is to stop."""

    def __init__(self, clock: Clock, over: Event, check: Check) -> None:
        self.now, self.utc, self._over, self._check = clock.now, clock.utc, over, check

    def sleep(self, seconds: float) -> None:
        self._over.wait(seconds)
        self._check()


class _Details:
    """Hands details to the thread of the run; an effect reports nothing else."""

    def __init__(self, told: SimpleQueue[tuple[Step, str]], step: Step) -> None:
        self._told, self._step = told, step

    def detail(self, text: str, step: Step | None = None) -> None:
        self._told.put((step or self._step, text))
