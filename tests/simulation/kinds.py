"""Apps that are more than one container: what their files say, what homes with them have seen, and what people type there."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from deployctl.domain.inputs.names import Version
from deployctl.ports import Services
from deployctl.ports.inside import Streams
from deployctl.usecases.change.restart import restart
from deployctl.usecases.change.run_once import run_once
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.secrets.set_secret import set_secret
from tests.simulation import operators, scenes
from tests.simulation.operators import ANY, Operator
from tests.simulation.world import DB, DOCS, JOB, SHOP

SOON = {"deadline": "1s", "rise": 2, "fall": 2}
DATA: dict[str, Any] = {"mounts": ["data:/data"], "max_gap": "12s", "stop_grace": "2s"}
PASSWORD: dict[str, Any] = {"secrets": ["password"]}
FILES: dict[str, dict[str, Any]] = {
    "exclusive": {"kind": "exclusive", **DATA, **PASSWORD},
    "several": {"needs": {"migrate": "completed", "api": "healthy"}, **PASSWORD, "components": {
        "api": {"port": 8081, "health": SOON},
        "migrate": {"kind": "job", "command": [*JOB]},
        "worker": {"command": ["work"], "health": {"uptime": "300ms"}},
        "clock": {"kind": "exclusive", "command": ["tick"], "health": {"uptime": "300ms"}, **DATA, **PASSWORD}}},
    "database": {"needs": {"db": "healthy"}, **PASSWORD, "components": {
        "db": {"kind": "backing", "image": "acme/db:v1", "port": 5432, "health": SOON, **DATA, **PASSWORD}}},
}
FILES["both"] = {**FILES["exclusive"], **FILES["database"], "mounts": ["uploads:/uploads"]}
JOB_FAILS = {"migrate": {"kind": "job", "command": ["explode"]}}
PASTS = ("nothing yet", "one", "two", "rolled back", "another database", "another password")
POLICIES = ("as usual", "as usual", "watched", "nothing warm", "a job that fails")


def has_database(kind: str) -> bool:
    return "db" in FILES[kind].get("needs", {})


def file_keys(kind: str, policy: str) -> dict[str, Any]:
    """Return what the shop's file says in that schedule, besides what every file says."""
    keys = FILES[kind]
    if policy == "a job that fails":
        components = keys.get("components", {})
        return {**keys, **({"components": {**components, **JOB_FAILS}} if "migrate" in components else {})}
    return {**keys, **scenes.POLICIES[policy]}




def set_password(value: str, s: Services) -> object:
    return set_secret(SHOP, "password", value.encode(), s)


def make(kind: str, past: str, s: Services) -> None:
    """Give the home that past: only what it types, with every question answered."""
    set_password("first", s)
    if past in scenes.PASTS:
        scenes.PASTS[past](s)
        return
    scenes.PASTS["one"](s)
    if past == "another password":
        set_password("second", s)
        scenes.PASTS["two"](s)
    elif has_database(kind):
        upgrade(DB, Version("v2"), s, options=scenes.YES)


def make_all_pasts() -> None:
    for kind in FILES:
        for past in PASTS:
            scenes.scene(past, kind)


# -- what people type -----------------------------------------------------------------------------------------------------
def drawn(random: Random, number: int, kind: str) -> Operator:
    """Return one operator with one wish for an app of that kind."""
    app = DOCS if random.random() < 0.06 else DB if has_database(kind) and random.random() < 0.5 else SHOP
    choice = _OF_DATABASES if app == DB else _OF_APPS if app == SHOP else operators.CHOICE
    words = random.choices(*choice)[0]
    if words in operators.TAKE_A_VERSION or (words == "rollback" and random.random() < 0.4):
        words = f"{words} {random.choice(ANY)}"
    return operators.called(random, number, words if app != DB else f"{words} of the database", app=SHOP if app == DB else app)


def _run(s: Services) -> int:
    """Run a command beside the live version; nobody reads what it prints."""
    silent = os.open(os.devnull, os.O_WRONLY)
    try:
        return run_once(SHOP, ["look"], Streams(None, silent, silent), s)
    finally:
        os.close(silent)


VERBS: dict[str, Callable[..., operators.Verb]] = {
    "restart": lambda app, options: partial(restart, app, options=options),
    "run": lambda app, options: _run,
    "secret": lambda app, options: partial(set_password, "third"),
}
_OF_APPS = (
    ("upgrade", "rollback", "undo", "stop", "prune", "abort", "remove", "remove --volumes", "watch", "reconcile",
     "rollback --abort", "restart", "run", "secret"),
    (12, 7, 3, 2, 1, 2, 1, 1, 1, 3, 3, 2, 1, 1),
)  # fmt: skip
_OF_DATABASES = (("upgrade", "rollback", "undo", "stop", "abort", "rollback --abort", "restart"), (12, 6, 2, 1, 1, 2, 2))
