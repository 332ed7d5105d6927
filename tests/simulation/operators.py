"""Who is at work in a schedule: people and the watcher, each a process that runs one verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from deployctl.domain.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.abort import abort
from deployctl.usecases.app_remove import remove_app
from deployctl.usecases.hold import hold, unhold
from deployctl.usecases.lease import lease
from deployctl.usecases.observe import observe
from deployctl.usecases.prune import prune
from deployctl.usecases.reconcile import reconcile
from deployctl.usecases.recover import recover
from deployctl.usecases.rollback import rollback
from deployctl.usecases.start import start
from deployctl.usecases.stop import stop
from deployctl.usecases.undo import undo
from deployctl.usecases.upgrade import upgrade
from deployctl.usecases.wish import Wish
from deployctl.watch.watch import TICK, Watch
from tests.simulation.scheduler import Process
from tests.simulation.world import APPS, CRASHES, DEAF, DOCS, REFUSED, SHOP, SICK, SLOW

Verb = Callable[[Services], object]
Work = Callable[[Process], object]

SKEWS = (0.0, 0.0, 0.0, -3600.0, 3600.0, 86400.0)
WELL = ("v1", "v2", "v3", "v4")
ANY = (*WELL, *WELL, SICK, CRASHES, REFUSED, SLOW, DEAF)


@dataclass(frozen=True, slots=True)
class Operator:
    """One process to be started: its name tells what was typed."""

    name: str
    app: AppName
    verb: str
    run: Verb
    after: float
    skew: float


def settle(app: AppName, s: Services, *, verb: str = "recover") -> object:
    """Do what every changing verb begins with."""
    with lease(app, verb, s, Wish()) as token:
        return recover(app, s, token)


def watch(s: Services, *, ticks: int) -> str:
    """Be the watcher for so long: it looks closely each time."""
    watch = Watch(s)
    for _ in range(ticks):
        watch.tick({str(app) for app in APPS})
        s.clock.sleep(TICK)
    return "watched"


def drawn(random: Random, number: int) -> Operator:
    """Return one operator with one wish. Some begin at once, some later; some have a wrong clock."""
    app = SHOP if random.random() < 0.88 else DOCS
    verb, run = _verb(random, app)
    after = 0.0 if number == 0 or random.random() < 0.5 else random.random() * random.choice((0.3, 3.0, 20.0))
    return Operator(f"{number}:{verb}", app, verb.split()[0], run, after, random.choice(SKEWS))


def _verb(random: Random, app: AppName) -> tuple[str, Verb]:
    wish = Wish(confirmed=True, lock_wait=random.choice((0.0, 0.0, 2.0, 60.0)))
    version = Version(random.choice(ANY))
    kind = random.choices(*_CHOICE)[0]
    match kind:
        case "upgrade":
            return f"upgrade {version}", partial(upgrade, app, version, wish=wish)
        case "rollback":
            named = None if random.random() < 0.6 else Version(random.choice(WELL))
            return f"rollback {named or ''}".strip(), partial(rollback, app, version=named, wish=wish)
        case "start" | "stop" | "hold" | "unhold":
            verbs: dict[str, Callable[..., object]] = {"start": start, "stop": stop, "hold": hold, "unhold": unhold}
            return f"{kind} {version}", partial(verbs[kind], app, version, wish=wish)
        case "watch":
            return kind, partial(watch, ticks=1 + int(random.random() * 3))
        case "reconcile":
            return kind, partial(reconcile, wish=wish)
        case "rollback --abort":
            return kind, partial(rollback, app, abort=True, wish=wish)
        case "look":
            return kind, partial(observe, app)
        case _:
            plain: dict[str, Callable[..., object]] = {"undo": undo, "prune": prune, "abort": abort, "remove": remove_app}
            return kind, partial(plain[kind], app, wish=wish)


_CHOICE = (
    ("upgrade", "rollback", "undo", "start", "stop", "hold", "unhold", "prune", "abort", "remove", "watch", "look",
     "reconcile", "rollback --abort"),
    (10, 6, 3, 2, 2, 1, 1, 2, 2, 1, 2, 1, 2, 2),
)
