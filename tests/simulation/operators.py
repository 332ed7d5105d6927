"""Who is at work in a schedule: people and the watcher, each a process that runs one verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.change.abort import abort
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.scale import scale
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.read_facts import observe
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.watch.watch import TICK_SECONDS, Watch
from tests.simulation.scheduler import Process
from tests.simulation.world import APPS, CRASHES, DB, DEAF, DOCS, REFUSED, SHOP, SICK, SLOW

Verb = Callable[[Services], object]
Work = Callable[[Process], object]

SKEWS = (0.0, 0.0, 0.0, -3600.0, 3600.0, 86400.0)
WELL = ("v1", "v2", "v3", "v4")
OF_DATABASE = " of the database"
ANY = (*WELL, *WELL, SICK, CRASHES, REFUSED, SLOW, DEAF)


@dataclass(frozen=True, slots=True)
class Operator:
    """One process to be started: its name tells what was typed."""

    name: str
    app: AppName
    run: Verb
    after: float = 0.0
    skew: float = 0.0


def settle(app: AppName, s: Services, *, verb: str = "recover") -> object:
    """Do what every changing verb begins with."""
    with lease(app, verb, s, ChangeOptions()) as token:
        return recover(app, s, token)


def watch(s: Services, *, ticks: int) -> str:
    """Be the watcher for so long: it looks closely each time."""
    watch = Watch(s)
    for _ in range(ticks):
        watch.tick({str(app) for app in APPS})
        s.clock.sleep(TICK_SECONDS)
    return "watched"


def drawn(random: Random, number: int) -> Operator:
    """Return one operator with one wish. Some begin at once, some later; some have a wrong clock."""
    app = SHOP if random.random() < 0.88 else DOCS
    words = random.choices(*CHOICE)[0]
    if words in TAKE_A_VERSION or (words == "rollback" and random.random() < 0.4):
        words = f"{words} {random.choice(ANY)}"
    return called(random, number, words, app=app)


def called(random: Random, number: int, words: str, *, app: AppName = SHOP, within: float | None = None) -> Operator:
    """Return the operator who types these words, at a time and with a patience that chance gives him; with “of the database”
    after them about the shop's."""
    options = ChangeOptions(confirmed=True, lock_wait=random.choice((0.0, 0.0, 2.0, 60.0)))
    after = 0.0 if number == 0 or random.random() < 0.5 else random.random() * random.choice((0.3, 3.0, 20.0))
    if within is not None and number:
        after = random.random() * within
    verb = _verb(words.removesuffix(OF_DATABASE), DB if words.endswith(OF_DATABASE) else app, options)
    return Operator(f"{number}:{words}", app, verb, after, random.choice(SKEWS))


def _verb(words: str, app: AppName, options: ChangeOptions) -> Verb:
    verb, *rest = words.split()
    version = Version(rest[0]) if rest and not rest[0].startswith("--") and verb != "scale" else None
    match verb:
        case "rollback":
            return partial(rollback, app, version=version, options=options, abort="--abort" in rest)
        case "look":
            return partial(_look, app)
        case "watch":
            return partial(watch, ticks=3)
        case "scale":
            return partial(scale, app, int(rest[0]), options=options)
        case "reconcile":
            return partial(reconcile, options=options)
        case "remove":
            return partial(remove_app, app, volumes="--volumes" in rest, options=options)
        case "restart" | "run" | "secret":
            from tests.simulation import kinds  # which builds on this

            return kinds.VERBS[verb](app, options)
    return partial(VERBS[verb], app, *([version] if version else []), options=options)


TAKE_A_VERSION: dict[str, Callable[..., object]] = {"upgrade": upgrade, "start": start, "stop": stop, "hold": hold,
                                                    "unhold": unhold}
VERBS: dict[str, Callable[..., object]] = {**TAKE_A_VERSION, "undo": undo, "prune": prune, "abort": abort}
CHOICE = (
    ("upgrade", "rollback", "undo", "start", "stop", "hold", "unhold", "prune", "abort", "remove", "watch", "look",
     "reconcile", "rollback --abort"),
    (10, 6, 3, 2, 2, 1, 1, 2, 2, 1, 2, 1, 2, 2),
)  # fmt: skip


def _look(app: AppName, s: Services) -> int | None:
    """Read all facts of the app; return only what is live, because a story is the same in every process."""
    return observe(app, s).serving


