"""A web application that must be the only one to write its file, upgraded and rolled back under a writer, while deployctl,
the engine or a container is killed in the gap: no acknowledged number is lost, and there are never two writers.

DEPLOYCTL_LONG=1 takes 50 changes, ten of them with a kill.
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

from docker.errors import DockerException

from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.paths import Path
from tests.e2e.cli import wait_until
from tests.faults.beside import make_impatient, needs_engine
from tests.faults.matrix import LONG
from tests.faults.second_engine import SecondEngine, second_engine
from tests.faults.town import Town, town_of
from tests.realapps.stores import STORES, WebClient, connected, loaded
from tests.realapps.watched_writer import Watch, Writer

APP = "ledger"
CHANGES, KILLS = (50, 10) if LONG else (5, 3)
KEYS: dict[str, Any] = {
    "kind": "exclusive", "mounts": ["data:/data"], "volumes": {"data": {}}, "stop_grace": "20s",
    "health": {"path": "/", "rise": 1, "interval": "200ms", "deadline": "30s"},
}
pytestmark = needs_engine


@dataclass(frozen=True)
class Place:
    town: Town
    engine: SecondEngine

    @property
    def exclusion(self) -> LinuxExclusion:
        return LinuxExclusion(Path(str(self.town.home)) / "state")

    @property
    def lock(self) -> str:
        return str(self.town.home / f"state/locks/{APP}/web")

    def connect(self) -> WebClient:
        return WebClient("127.0.0.1", port=self.town.ports[APP])

    def begin(self, number: int) -> subprocess.Popen[str]:
        """Start an upgrade to the version that is not live, or every second time a rollback to it, if one is possible."""
        live = self.town.app(APP)["active"]
        other = "v1" if live is not None and live["version"] == "v2" else "v2"
        if number % 2 and self.town.run("rollback", APP, other, "--dry-run").code == 0:
            return self.town.begin("rollback", APP, other, "--yes")
        self.town.run("unhold", APP, other)
        return self.town.begin("upgrade", APP, other, "--yes")

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
def place() -> Iterator[Place]:
    store = next(one for one in STORES if one.name == "web")
    with (second_engine(live_restore=False) as engine, engine.inside(), loaded(engine.url, store, "v1", "v2") as images,
          town_of(engine.url) as town):
        make_impatient(town)
        town.serving(APP, "v1", image=images["v1"][0], **KEYS)
        yield Place(town, engine)


# -- kills in the gap ----------------------------------------------------------------------------------------------------
def kill_deployctl(place: Place, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)


def kill_engine(place: Place, process: subprocess.Popen[str]) -> None:
    place.engine.kill()
    place.engine.start()


def kill_container(place: Place, process: subprocess.Popen[str]) -> None:
    for one in place.town.containers(APP):
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
    return place.town.run("reconcile", APP).code == 0


def test_no_acknowledged_number_is_lost_and_there_are_never_two_writers() -> None:
    dice = random.Random(15)
    kills = {number: HARMS[index % len(HARMS)] for index, number in enumerate(sorted(dice.sample(range(CHANGES), KILLS)))}
    with place() as here, Watch(here.exclusion, here.lock).looking() as watch, Writer(here.connect).writing() as writer:
        for number in range(CHANGES):
            before, since = len(writer.acknowledged), time.monotonic()
            if number in kills:
                harmed(here, number, kills[number], dice)
            else:
                ran = here.town.ended(here.begin(number))
                assert ran.code == 0, ran
            wait_until(lambda count=before: len(writer.acknowledged) > count + 5, what="a number")  # type: ignore[misc]
            print(f"{number}: {kills[number].__name__ if number in kills else 'whole'}, "
                  f"{writer.longest_gap(since) * 1000:.0f} ms without an answer")
        client = connected(lambda address: here.connect(), "")
        there = client.numbers()
        client.close()
    assert set(writer.acknowledged) - set(there) == set()
    assert watch.worst == 1
