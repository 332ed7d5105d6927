"""Where a schedule begins: a few homes with a past, made once by the verbs themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random
from typing import Any

from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from tests.simulation.scheduler import Pace, Process, Scheduler
from tests.simulation.world import DOCS, SHOP, Scene, World, app_file

YES = ChangeOptions(confirmed=True)
POLICIES: dict[str, dict[str, Any]] = {
    "as usual": {},
    "watched": {"watch": "1s"},
    "nothing warm": {"keep_warm": 0, "keep_stopped": 1},
    "much warm": {"keep_warm": 2, "keep_stopped": 0},
    "another address": {"listen": 9000},
}


def _upgraded(app: AppName, *versions: str) -> Callable[[Services], None]:
    def make(s: Services) -> None:
        for version in versions:
            upgrade(app, Version(version), s)

    return make


def _cold(s: Services) -> None:
    _upgraded(SHOP, "v1", "v2")(s)
    stop(SHOP, Version("v1"), s, options=YES)


def _rolled_back(s: Services) -> None:
    _upgraded(SHOP, "v1", "v2")(s)
    rollback(SHOP, s, options=YES)


def _beside(s: Services) -> None:
    _upgraded(SHOP, "v1")(s)
    start(SHOP, Version("v3"), s)


def _stopped(s: Services) -> None:
    _upgraded(SHOP, "v1", "v2")(s)
    stop(SHOP, Version("v2"), s, options=YES)


PASTS: dict[str, Callable[[Services], None]] = {
    "nothing yet": lambda s: None,
    "one": _upgraded(SHOP, "v1"),
    "two": _upgraded(SHOP, "v1", "v2"),
    "three": _upgraded(SHOP, "v1", "v2", "v3"),
    "a cold standby": _cold,
    "rolled back": _rolled_back,
    "one beside": _beside,
    "serving nobody": _stopped,
}


# Of named recipes only: another entry above would give every seed another schedule.
REPLICAS: dict[str, Any] = {"replicas": 2}
NAMED_PASTS: dict[str, tuple[dict[str, Any], Callable[[Services], None]]] = {
    "two with replicas": (REPLICAS, PASTS["two"]),
    "a cold standby with replicas": (REPLICAS, PASTS["a cold standby"]),
}
NAMED_POLICIES: dict[str, dict[str, Any]] = {"replicas": REPLICAS, "watched replicas": {**REPLICAS, "watch": "1s"}}


def _of_kind(kind: str, past: str) -> tuple[dict[str, Any], Callable[[Services], None]]:
    from tests.simulation import kinds  # which builds on this

    return kinds.FILES[kind], partial(kinds.make, kind, past)


@cache
def scene(past: str, kind: str = "") -> Scene:
    """Return the world after that past, of an app of that kind; docs serves v1 in all of them."""
    scheduler = Scheduler(Random(0), Pace(call=0.0, stay=1.0))
    world = World(scheduler)
    keys, begin = _of_kind(kind, past) if kind else NAMED_PASTS[past] if past in NAMED_PASTS else ({}, PASTS[past])
    world.files[SHOP] = app_file(SHOP, **keys)

    def make(process: Process) -> None:
        s = world.services(process)
        upgrade(DOCS, Version("v1"), s)
        begin(s)

    process = scheduler.start("the past", make)
    scheduler.run()
    if process.foreign or not str(process.ended).startswith("ended"):
        raise RuntimeError(f"the past {past!r} cannot be made: {process.ended}") from process.foreign
    return world.scene()
