"""Processes that take turns: one greenlet each, virtual time, and every choice from one seeded source.

A process may be passed over before every call that leaves it. Nothing else is a choice, so a seed is a whole story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from greenlet import greenlet

from deployctl.errors import DeployctlError

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MOST_CALLS = 20_000  # of one schedule: more means that a process waits forever


class Killed(BaseException):
    """SIGKILL: from now on every call of this process raises it, so nothing that it does has an effect."""


class Endless(BaseException):
    """The schedule is given up."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How time goes by in one schedule."""

    call: float = 0.004  # seconds that one call takes at most
    stay: float = 0.5  # how often the same process goes on
    razor: bool = False  # whether others may come between the fence's look and the change that it allows


class Process:
    """One process of the simulated machine, with a wall clock of its own."""

    def __init__(self, scheduler: Scheduler, name: str, work: Callable[[Process], object], *, at: float,
                 skew: float = 0.0) -> None:
        self.scheduler, self.name, self.skew = scheduler, name, skew
        self.pid = scheduler.next_pid()
        self.wake = at
        self.killed = False
        self.ended: str | None = None  # how, once it has
        self.inside = False  # a call is in progress: what it calls meanwhile is part of it
        self.frozen_at: float | None = None
        self.frozen_until = 0.0
        self.shield: list[int] | None = None  # where signals are remembered while they are held back
        self.looked = False  # its last call asked whether the lease is its own: the fence
        self.foreign: BaseException | None = None  # an error that no user should ever see
        self._greenlet = greenlet(lambda: self._live(work))

    def _live(self, work: Callable[[Process], object]) -> None:
        try:
            said = work(self)
            self.ended = f"ended: {said}"
        except Killed:
            self.ended = "was killed"
        except KeyboardInterrupt:
            self.ended = "was interrupted"
        except DeployctlError as e:
            self.ended = f"failed ({type(e).__name__}): {e}"
        except Endless:
            self.ended = "was given up"
        except BaseException as e:
            self.ended, self.foreign = f"broke ({type(e).__name__}): {e}", e
        self.scheduler.tell(self, self.ended)

    def step(self) -> None:
        self._greenlet.switch()

    def sleep(self, seconds: float) -> None:
        """Let others work for so long."""
        self.wake = self.scheduler.now + max(0.0, seconds)
        self.scheduler.hub.switch()

    def freeze(self, seconds: float) -> None:
        """Stop like by SIGSTOP: its heart stands still, too."""
        self.frozen_at, self.frozen_until = self.scheduler.now, self.scheduler.now + seconds
        self.sleep(seconds)

    def turn(self) -> None:
        """Let others work first, if chance says so. Every call that leaves the process begins with this."""
        if self.killed:
            raise Killed
        self.scheduler.tick(self)


class Scheduler:
    """Runs processes until all have ended. `told` collects the story when it is wanted."""

    def __init__(self, random: Random, pace: Pace, *, told: list[str] | None = None) -> None:
        self.random, self.pace, self.told = random, pace, told
        self.now = 1000.0
        self.calls = 0
        self.hub = greenlet.getcurrent()
        self.processes: list[Process] = []
        self.running: Process | None = None
        self.between: Callable[[], None] = lambda: None  # what may happen to the world at any call
        self.stopped = False
        self._pids = 100
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def start(self, name: str, work: Callable[[Process], object], *, after: float = 0.0, skew: float = 0.0) -> Process:
        process = Process(self, name, work, at=self.now + after, skew=skew)
        self.processes.append(process)
        return process

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let that happen to the world so many seconds from now."""
        self._events.append((self.now + seconds, len(self._events), happen))
        self._events.sort(key=lambda event: event[:2])

    def tick(self, process: Process) -> None:
        """Count one call; let the world and other processes act before it."""
        self.calls += 1
        if self.stopped or self.calls > MOST_CALLS:
            raise Endless
        random = self.random
        self.now += self.pace.call * random.random()
        self._happen()
        self.between()
        if process.looked and not self.pace.razor:
            return
        if len(self.processes) > 1 and random.random() >= self.pace.stay:
            process.wake = self.now
            self.hub.switch()

    def _happen(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            self._events.pop(0)[2]()

    def run(self) -> None:
        """Give turns until every process has ended."""
        while True:
            waiting = [process for process in self.processes if process.ended is None]
            if not waiting:
                break
            ready = [process for process in waiting if process.wake <= self.now]
            if not ready:
                self.now = min(process.wake for process in waiting)
                self._happen()
                continue
            self.running = ready[0] if len(ready) == 1 else ready[int(self.random.random() * len(ready))]
            self.running.step()
        self.running = None
        self.processes = []

    def alive(self, pid: int) -> bool:
        return any(p.pid == pid and p.ended is None and not p.killed for p in self.processes)

    def utc(self, *, skew: float = 0.0) -> str:
        at = EPOCH + timedelta(seconds=self.now + skew)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def tell(self, process: Process | None, text: str) -> None:
        if self.told is not None:
            who = process.name if process else "the world"
            self.told.append(f"{self.now - 1000:9.3f}  {who:<12} {text}")

    @contextmanager
    def shielded(self) -> Iterator[list[int]]:
        """Hold signals back, as deployctl.execution.interrupts does for a real process."""
        process, came = self.running, list[int]()
        if process is None:
            yield came
            return
        outer, process.shield = process.shield, came
        try:
            yield came
        finally:
            process.shield = outer
        if came and outer is not None:
            outer.extend(came)
        elif came:
            raise KeyboardInterrupt


class ProcessClock:
    """Monotonic time is everybody's; wall time is wrong by the process's own skew."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> float:
        return self._process.scheduler.now

    def utc(self) -> str:
        return self._process.scheduler.utc(skew=self._process.skew)

    def sleep(self, seconds: float) -> None:
        self._process.turn()
        self._process.sleep(seconds)
