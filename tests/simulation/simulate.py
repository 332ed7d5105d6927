"""One seed is one schedule: a past, some operators, a weather; then recovery, twice, and every invariant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from random import Random
from unittest.mock import patch

from deployctl.domain.images.release import Bundle
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError
from deployctl.execution import actions, runner
from deployctl.execution.kinds import one_off
from deployctl.usecases.change import restart
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.reconcile import reconcile
from tests.simulation import faults, invariants, kinds, operators, promises, scenes
from tests.simulation.faults import Fault, Mischief, Weather
from tests.simulation.operators import Operator, settle
from tests.simulation.scenes import YES
from tests.simulation.scheduler import Pace, Process, Scheduler
from tests.simulation.world import APPS, SHOP, World, app_file, short

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


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a schedule must have; everything else is chance."""

    past: str | None = None
    policy: str | None = None
    typed: tuple[str, ...] = ()  # by one operator each
    within: float | None = None  # seconds in which the others begin after the first
    faults: tuple[Fault, ...] = ()
    rate: float = 0.012
    mischief: tuple[Mischief, ...] = ()
    razor: bool = False  # others may come between the fence's look and the change that it allows
    kind: str = ""  # of the shop (kinds.py), or any of them; else it is one container, and may have replicas

    def weather(self, random: Random) -> Weather:
        if not self.faults and not self.mischief:
            return faults.drawn(random, engine_restarts=bool(self.kind))
        return Weather(self.faults or (Fault.KILL,), self.rate if self.faults else 0.0, self.mischief,
                       0.003 if self.mischief else 0.0)

    def operators(self, random: Random, kind: str) -> list[Operator]:
        if self.typed:
            return [operators.called(random, n, words, within=self.within) for n, words in enumerate(self.typed)]
        if kind:
            return [kinds.drawn(random, n, kind) for n in range(random.choice((1, 1, 2, 2, 3)))]
        return [operators.drawn(random, n) for n in range(random.choice((1, 2, 2, 3, 3, 4)))]


ANY = "any"
CHANCE, OF_ANY_KIND = Recipe(), Recipe(kind=ANY)
SHIELDED = (runner, actions, restart, one_off)  # where signals are held back
_bundle = lru_cache(maxsize=None)(Bundle.from_canonical)  # frozen, and read from the ledger again and again


class Schedule:
    def __init__(self, seed: int, recipe: Recipe = CHANCE, *, telling: bool = False) -> None:
        self.told, self.random = Told(seed), Random(seed)
        pace = replace(self.random.choice(PACES), razor=recipe.razor)
        self.scheduler = Scheduler(self.random, pace, told=self.told.story if telling else None)
        kind = self.random.choice(tuple(kinds.FILES)) if recipe.kind == ANY else recipe.kind
        past = recipe.past or self.random.choice(kinds.PASTS if kind else tuple(scenes.PASTS))
        policy = recipe.policy or self.random.choice(kinds.POLICIES if kind else tuple(scenes.POLICIES))
        self.world = World(self.scheduler, scenes.scene(past, kind))
        named = {**scenes.POLICIES, **scenes.NAMED_POLICIES}
        self.world.files[SHOP] = app_file(SHOP, **(kinds.file_keys(kind, policy) if kind else named[policy]))
        self.operators, self.weather = recipe.operators(self.random, kind), recipe.weather(self.random)
        self.half_removed: list[AppName] = []
        self.let_go: list[tuple[int, ...]] = []
        self.scheduler.tell(None, f"begins with: {kind or 'one container'}, {past}, {policy}; {pace}; {self.weather}")

    def run(self) -> Told:
        try:
            with ExitStack() as patches:
                for module in SHIELDED:
                    patches.enter_context(patch.object(module, "shielded", self.scheduler.shielded))
                patches.enter_context(patch.object(Bundle, "from_canonical", _bundle))
                untouched = [app for app in APPS if all(o.app != app for o in self.operators)]
                before = {app: invariants.of_app(self.world, app) for app in untouched}
                self._operate()
                if not self.told.broken:
                    self._recover()
                    self._require_untouched(before)
        finally:
            self.told.calls = self.scheduler.calls
            self.world.db.close()
        return self.told

    # -- the schedule -------------------------------------------------------------------------------------------------
    def _operate(self) -> None:
        w = self.world
        w.guardian = guardian = invariants.AroundChanges(w, self._found)
        w.weather, self.scheduler.between = self.weather, self._mischief
        for o in self.operators:
            self._start(o.name, o.run, after=o.after, skew=o.skew)
        self.scheduler.run()
        self._calm()
        self.half_removed = sorted(guardian.half_removed)
        self.let_go = guardian.of_kinds.let_go

    def _require_untouched(self, before: dict[AppName, dict[str, object]]) -> None:
        for app, was in before.items():
            if not self.world.befallen and invariants.of_app(self.world, app) != was:
                self._found(f"I6: {app} is not as it was, and nobody worked on it")

    def _start(self, name: str, run: operators.Verb, *, after: float = 0.0, skew: float = 0.0) -> Process:
        def work(process: Process) -> object:
            try:
                return short(run(self.world.services(process)))
            finally:
                if process.killed:
                    self.scheduler.tell(process, "is dead")

        return self.scheduler.start(name, self._watched(work), after=after, skew=skew)

    def _watched(self, work: operators.Work) -> operators.Work:
        def whole(process: Process) -> object:
            try:
                return work(process)
            except Exception as e:
                if not isinstance(e, DeployctlError):
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
        elif what is Mischief.RESTART:
            self.world.restart_engine(self.random)
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
        self.world.weather, self.world.guardian = Weather(), None
        self.scheduler.between = lambda: None
        self.world.engine.away = None
        for container in sorted(self.world.engine.restarting):
            self.world.restart(container)

    # -- recovery -----------------------------------------------------------------------------------------------------
    def _recover(self) -> None:
        """The next command settles; the watcher repairs the rest; a second time changes nothing (I7). A removal that
        broke off is typed again: that is what its message says."""
        for app in self.half_removed:
            if app in self._known():
                self._once(f"again: remove {app}", partial(remove_app, app, options=YES))
        for app in self._known():
            self._once(f"recovery of {app}", partial(settle, app))
        self._check(invariants.AFTER_A_CLEAN_DEATH if self._clean else invariants.WHEN_SETTLED)
        self._once("reconcile", reconcile)
        self._check(invariants.WHEN_RECONCILED)
        for text in promises.lost(self.world, self.let_go):
            self._found(text)
        first = invariants.everything(self.world)
        for app in self._known():
            self._once(f"second recovery of {app}", partial(settle, app))
        self._once("second reconcile", reconcile)
        again = invariants.everything(self.world)
        for name in first:
            if first[name] != again[name]:
                self._found(f"I7: a second recovery changed the {name}: {first[name]} {again[name]}"[:2000])

    @property
    def _clean(self) -> bool:
        """Tell whether nothing was ever refused and nobody was overtaken: then even the next command leaves no remains."""
        told = any("--abort" in operator.name for operator in self.operators)
        return faults.DEATHS.issuperset(self.weather.faults) and not self.weather.mischief and not told

    def _check(self, checks: tuple[invariants.Check, ...]) -> None:
        if not self.told.broken:
            self.told.broken += invariants.broken(self.world, checks)

    def _once(self, name: str, run: operators.Verb) -> None:
        if self.told.broken:
            return
        process = self._start(name, run)
        self.scheduler.run()
        if process.ended is None or not process.ended.startswith("ended"):
            self._found(f"I1: {name} {process.ended}")

    def _known(self) -> list[AppName]:
        return [app.name for app in self.world.reader.apps()]


def simulate(seed: int, recipe: Recipe = CHANCE, *, telling: bool = False) -> Told:
    """Run one schedule. The same seed gives the same story, line by line."""
    return Schedule(seed, recipe, telling=telling).run()


def search(seeds: Iterable[int], recipe: Recipe = CHANCE) -> Iterator[Told]:
    """Run one schedule for each seed and yield those that break something."""
    for seed in seeds:
        told = simulate(seed, recipe)
        if told.broken:
            yield told
