"""What must be the only one to write its data, upgraded and rolled back under a writer, while deployctl, the engine or a
container is killed in the gap: no acknowledged number is lost, and there are never two writers.

A web application writes a file, and its clients come through HAProxy; Redis and PostgreSQL are backing components, written
to at their fixed address. DEPLOYCTL_LONG=1 takes 50 changes of each, ten of them with a kill, and PostgreSQL too.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from docker.errors import DockerException

from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.paths import Path
from tests.e2e.cli import wait_until
from tests.faults.beside import make_impatient, needs_engine
from tests.faults.matrix import LONG
from tests.faults.second_engine import SecondEngine, second_engine
from tests.faults.town import Town, town_of
from tests.images import ensure_image
from tests.realapps.stores import STORES, Client, Store, WebClient, connected, loaded
from tests.realapps.watched_writer import Watch, Writer
from tests.realapps.wheels import Unobtainable

OWNER, DB = "books", "books/db"
CHANGES, KILLS = (50, 10) if LONG else (4, 3)
CASES = [store for store in STORES if LONG or store.name != "postgres"]
KEYS: dict[str, Any] = {"mounts": ["data:/data"], "stop_grace": "20s"}
SOON: dict[str, Any] = {"rise": 1, "interval": "200ms", "deadline": "30s"}
pytestmark = needs_engine


@dataclass(frozen=True)
class Place:
    """`app` is what changes hands: the app itself, or its backing component."""

    town: Town
    engine: SecondEngine
    store: Store
    app: str

    @property
    def exclusion(self) -> LinuxExclusion:
        return LinuxExclusion(Path(str(self.town.home)) / "state")

    @property
    def lock(self) -> str:
        return str(self.town.home / f"state/locks/{OWNER}/{'db' if self.app == DB else 'web'}")

    def connect(self) -> Client:
        if self.app == OWNER:
            return WebClient("127.0.0.1", port=self.town.ports[OWNER])
        return self.store.connect(self.town.rows("select address from instances where app = ?", DB)[0][0])

    def begin(self, number: int) -> subprocess.Popen[str]:
        """Start an upgrade to the version that is not live, or every second time a rollback to it, if one is possible."""
        live = self.town.rows("select r.version from apps a join releases r on r.app = a.name and r.number = a.active "
                              "where a.name = ?", self.app)
        other = "v1" if live and live[0][0] == "v2" else "v2"
        if number % 2 and self.town.run("rollback", self.app, other, "--dry-run").code == 0:
            return self.town.begin("rollback", self.app, other, "--yes")
        self.town.run("unhold", self.app, other)
        return self.town.begin("upgrade", self.app, other, "--yes")

    def serves(self) -> bool:
        with suppress(OSError, ValueError):
            client = self.connect()
            try:
                client.numbers()
            finally:
                client.close()
            return True
        return False


@contextmanager
def place(store: Store) -> Iterator[Place]:
    with (second_engine(live_restore=False) as engine, engine.inside(), loaded(engine.url, store, "v1", "v2") as images,
          town_of(engine.url) as town):
        make_impatient(town)
        name = images["v1"][0]
        if store.name == "web":
            town.serving(OWNER, "v1", **{**KEYS, "image": name, "kind": "exclusive", "volumes": {"data": {}},
                                         "health": {"path": "/", **SOON}})
            yield Place(town, engine, store, OWNER)
            return
        ensure_image("web", "v1", base_url=engine.url)
        database = {**KEYS, "kind": "backing", "image": f"{name}:v1", "port": store.port, "stop_signal": store.stop_signal,
                    "health": {"kind": "tcp", **SOON}, **({"user": store.user} if store.user else {})}
        town.serving(OWNER, "v1", needs={"db": "healthy"}, components={"db": database}, volumes={"data": {}})
        yield Place(town, engine, store, DB)


# -- kills in the gap ----------------------------------------------------------------------------------------------------
def kill_deployctl(place: Place, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)


def kill_engine(place: Place, process: subprocess.Popen[str]) -> None:
    place.engine.kill()
    place.engine.start()


def kill_container(place: Place, process: subprocess.Popen[str]) -> None:
    for one in place.town.containers(place.app):
        with suppress(DockerException):  # one that has ended
            place.town.api.kill(one["Id"], signal.SIGKILL)


Kill = Callable[[Place, subprocess.Popen[str]], None]
HARMS: tuple[Kill, ...] = (kill_deployctl, kill_engine, kill_container)


def harmed(place: Place, number: int, kill: Kill, dice: random.Random) -> None:
    """Do the change of that number, and kill while nobody has the lock or just after."""
    process = place.begin(number)
    while place.exclusion.holders(place.lock) and process.poll() is None:
        time.sleep(0.001)
    time.sleep(dice.choice((0.0, 0.05, 0.3)))
    kill(place, process)
    process.communicate(timeout=120)
    wait_until(partial(reconciled, place), what="a home that is in order")
    wait_until(place.serves, what="an answer")


def reconciled(place: Place) -> bool:
    return place.town.run("reconcile").code == 0


@pytest.mark.parametrize("store", CASES, ids=[store.name for store in CASES])
def test_no_acknowledged_number_is_lost_and_there_are_never_two_writers(store: Store) -> None:
    try:
        store.image()
    except Unobtainable as e:
        pytest.skip(f"Debian's packages of {store.name} cannot be had: {e}")
    dice = random.Random(15)
    kills = {number: HARMS[index % len(HARMS)] for index, number in enumerate(sorted(dice.sample(range(CHANGES), KILLS)))}
    with place(store) as here, Watch(here.exclusion, here.lock).looking() as watch:
        with Writer(here.connect).writing() as writer:
            for number in range(CHANGES):
                _change(here, writer, number, kills.get(number), dice)
        client = connected(lambda address: here.connect(), "")
        there = client.numbers()
        client.close()
    assert set(writer.acknowledged) - set(there) == set()
    assert watch.worst == 1


def _change(here: Place, writer: Writer, number: int, kill: Kill | None, dice: random.Random) -> None:
    since = time.monotonic()
    if kill is not None:
        harmed(here, number, kill, dice)
    else:
        ran = here.town.ended(here.begin(number))
        assert ran.code == 0, ran
    after = time.monotonic()
    wait_until(lambda: bool(writer.answers) and writer.answers[-1][0] > after, within=60, what="a number")
    print(f"{number}: {kill.__name__ if kill else 'whole'}, {writer.longest_gap(since) * 1000:.0f} ms without an answer")
