"""One seed is one schedule: a past, some operators, a weather; then recovery, twice, and every invariant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

from deployctl import runner
from deployctl.domain.names import AppName
from tests.simulation import faults, invariants, operators, scenes
from tests.simulation.faults import Mischief, Weather
from tests.simulation.operators import settle
from tests.simulation.scheduler import Pace, Process, Scheduler
from tests.simulation.world import APPS, SHOP, World

PACES = (Pace(0.0, 0.7), Pace(0.004, 0.7), Pace(0.004, 0.3), Pace(0.03, 0.5))


@dataclass(slots=True)
class Told:
    """How a schedule went: nothing is broken, as a rule."""

    seed: int
    broken: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    calls: int = 0

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *self.story, *(f"!! {text}" for text in self.broken)])


class Schedule:
    def __init__(self, seed: int, *, telling: bool = False) -> None:
        self.told, self.random = Told(seed), Random(seed)
        self.scheduler = Scheduler(self.random, self.random.choice(PACES), told=self.told.story if telling else None)
        past, scene, keys = scenes.drawn(self.random)
        self.world = World(self.scheduler, scene)
        self.world.files[SHOP] = scenes.file_of(keys)
        self.operators = [operators.drawn(self.random, n) for n in range(self.random.choice((1, 2, 2, 3, 3, 4)))]
        self.weather = faults.drawn(self.random)
        self.scheduler.tell(None, f"begins with: {past}; {self.weather}")

    def run(self) -> Told:
        try:
            with patch.object(runner, "shielded", self.scheduler.shielded):
                self._operate()
                if not self.told.broken:
                    self._recover()
        finally:
            self.told.calls = self.scheduler.calls
            self.world.db.close()
        return self.told

    # -- the schedule -------------------------------------------------------------------------------------------------
    def _operate(self) -> None:
        w, untouched = self.world, [app for app in APPS if all(o.app != app for o in self.operators)]
        before = {app: invariants.of_app(w, app) for app in untouched}
        stopping = {o.app for o in self.operators if o.verb in {"stop", "remove"}}
        w.on_change = invariants.AroundChanges(w, stopping, self._found)
        w.weather, self.scheduler.between = self.weather, self._mischief
        for o in self.operators:
            self._start(o.name, o.run, after=o.after, skew=o.skew)
        self.scheduler.run()
        self._calm()
        for app in untouched:
            if invariants.of_app(w, app) != before[app] and not w.befallen:
                self._found(f"I6: {app} is not as it was, and nobody worked on it")

    def _start(self, name: str, run: operators.Verb, *, after: float = 0.0, skew: float = 0.0) -> Process:
        def work(process: Process) -> object:
            try:
                return run(self.world.services(process))
            finally:
                if process.killed:
                    self.scheduler.tell(process, "is dead")

        process = self.scheduler.start(name, self._watched(work), after=after, skew=skew)
        return process

    def _watched(self, work: operators.Work) -> operators.Work:
        def whole(process: Process) -> object:
            try:
                return work(process)
            except Exception as e:
                if not isinstance(e, operators.DeployctlError):
                    self._found(f"I9: {process.name} ended with {type(e).__name__}: {e}")
                raise

        return whole

    def _found(self, text: str) -> None:
        self.told.broken.append(text)
        self.scheduler.stopped = True

    # -- mischief -----------------------------------------------------------------------------------------------------
    def _mischief(self) -> None:
        weather = self.weather
        if not weather.mischief_rate or self.random.random() >= weather.mischief_rate:
            return
        what = self.random.choice(weather.mischief)
        if what is Mischief.PROXY:
            self.world.traffic.die()
        elif what is Mischief.ENGINE:
            self._engine_away()
        elif (name := self.world.kill_container(self.random)) is not None:
            self.scheduler.tell(None, f"{name} dies")
            return
        self.scheduler.tell(None, what)

    def _engine_away(self) -> None:
        engine = self.world.engine

        def back() -> None:
            engine.away = None
            self.scheduler.tell(None, "Docker is back")

        engine.away = "the socket is gone"
        self.scheduler.after(self.random.choice((0.05, 1.0, 20.0)), back)

    def _calm(self) -> None:
        """Let the world get well: what is left is the work of recovery."""
        self.world.weather, self.world.on_change = Weather(), None
        self.scheduler.between = lambda: None
        self.world.engine.away = None
        for container in sorted(self.world.engine.restarting):
            self.world.engine.restart(container)

    # -- recovery -----------------------------------------------------------------------------------------------------
    def _recover(self) -> None:
        self._once("recovery")
        if self.told.broken:
            return
        self.told.broken += invariants.broken(self.world)
        first = invariants.everything(self.world)
        self._once("second recovery")
        again = invariants.everything(self.world)
        self.told.broken += [f"I7: a second recovery changed the {name}" for name in first if first[name] != again[name]]

    def _once(self, name: str) -> None:
        for app in self._known():
            process = self._start(f"{name} of {app}", lambda s, app=app: settle(app, s))  # type: ignore[misc]
            self.scheduler.run()
            if process.ended is None or not process.ended.startswith("ended"):
                self._found(f"I1: {name} of {app} {process.ended}")

    def _known(self) -> list[AppName]:
        return [app.name for app in self.world.reader.apps()]


def simulate(seed: int, *, telling: bool = False) -> Told:
    """Run one schedule. The same seed gives the same story, line by line."""
    return Schedule(seed, telling=telling).run()


def search(first: int, count: int) -> Iterator[Told]:
    """Yield the schedules that break something."""
    for seed in range(first, first + count):
        told = simulate(seed)
        if told.broken:
            yield told


