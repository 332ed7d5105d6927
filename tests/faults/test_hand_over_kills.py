"""SIGKILL of deployctl at each journalled step of a hand-over, on a real engine: of an exclusive web application, and of a
backing component, each with a volume and a secret. The next command brings a legal end, and no client is lost.

Beside I1 to I9 (invariants.py): one program holds the lock, and it is the live version's; nobody waits any more; the volume
is the app's only one, and what was written to it is there; the secret lies in what runs. DEPLOYCTL_LONG=1 takes every step.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.paths import Path
from tests.e2e.cli import HEALTH, Cli, command
from tests.faults.injector import Fault
from tests.faults.invariants import watched
from tests.faults.matrix import LONG
from tests.faults.outcomes import Book, Outcome
from tests.faults.town import Town, town_of
from tests.faults.victim import run_with
from tests.images import ensure_images

WEB, BOOKS, DB = "alone", "books", "books/db"
PASSWORD = "canary-password-77aa"
STORE: dict[str, Any] = {"image": "dctl-test/volume", "mounts": ["data:/data"], "secrets": ["PASSWORD"], "stop_grace": "3s",
                         "max_gap": "20s"}
STEPS = ["start", "queue", "hand_over", "health", "resume", "promote", "stop"]
OF_WEB = ["start", "route", "queue", "hand_over", "health", "gate", "switch", "resume", "promote", "drain", "stop"]
FEW = ["queue", "hand_over", "promote"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="secrets are laid into memory by root")


@pytest.fixture(scope="module")
def web(engine_url: str, images: None) -> Iterator[Town]:
    """An exclusive web application."""
    with home_of(engine_url) as town:
        town.write(WEB, kind="exclusive", **STORE)
        yield begun(town, WEB)


@pytest.fixture(scope="module")
def database(engine_url: str, images: None) -> Iterator[Town]:
    """An app whose backing component is handed over; clients reach it through the app."""
    with home_of(engine_url) as town:
        db = {"kind": "backing", "port": 8080, "health": {"kind": "http", **HEALTH}, **STORE, "image": "dctl-test/volume:v1"}
        town.write(BOOKS, needs={"db": "healthy"}, components={"db": db})
        yield begun(town, BOOKS)


@contextmanager
def home_of(engine_url: str) -> Iterator[Town]:
    ensure_images(("volume", "v1"), ("volume", "v2"), base_url=engine_url)
    with town_of(engine_url) as town:
        yield town


def begun(town: Town, app: str) -> Town:
    done = subprocess.run(command(town.home, "secret", "set", app, "PASSWORD"), input=f"{PASSWORD}\n", capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    town.do("upgrade", app, "v1")
    return town


def live(town: Cli, name: str) -> tuple[str, str]:
    """Return version and container of what is live."""
    return town.rows("select r.version, i.container from apps a join releases r on r.app = a.name and r.number = a.active "
                     "join instances i on i.app = r.app and i.release = r.number where a.name = ?", name)[0]


def killed(town: Town, book: Book, app: str, name: str, step: str) -> None:
    """Kill the hand-over to the other version once the intent of that step is written; settle, and check everything."""
    former = live(town, name)[0]
    to = "v2" if former == "v1" else "v1"
    town.run("unhold", name, to)
    starts = started(town, name)
    with watched(town, app, visitors=(app,)) as cell:
        ended = run_with(town, Fault("die", "after", "begin", step), "upgrade", name, to, "--yes")
        assert ended.killed, ended.ran
        town.do("reconcile")
        require_one_writer(town, app, name)
        cell.require_kept(lambda: town.do("reconcile"))
    assert started(town, name) >= starts, "I13: what was written is gone"
    serves = live(town, name)[0]
    end = "the version before is live" if serves == former else "the requested version is live"
    book.write(Outcome(f"SIGKILL in the hand-over of {'a backing component' if '/' in name else 'an exclusive web'}",
                       f"before {step}", end, cell.sent, cell.lost))


def started(town: Town, name: str) -> int:
    """Return how often a program has begun on that volume, as the one that runs now says."""
    path = "/facts" if "/" not in name else "/sibling?of=db"
    told = json.loads(town.get(name.partition("/")[0], path).body)
    return int((told if "/" not in name else told[1])["starts"])


def require_one_writer(town: Town, app: str, name: str) -> None:
    """I10, I12 and I13, asked from the kernel, HAProxy and Docker."""
    version, container = live(town, name)
    exclusion, component = LinuxExclusion(Path(str(town.home)) / "state"), name.partition("/")[2] or "web"
    lock = str(town.home / f"state/locks/{app}/{component}")
    main = town.api.inspect_container(container)["State"]["Pid"]
    assert len(exclusion.holders(lock)) == 1, "I10: not one writer"
    assert exclusion.holds(lock, main), f"I10: another program than {version}'s writes"
    running = [one for one in town.containers(name) if one["State"] == "running"]
    assert [one["Id"] for one in running] == [container], "I10: another version runs, too"
    assert running[0]["Labels"]["deployctl.version"] == version
    assert not town.haproxy("show map queue.map").strip(), "I12: requests still wait"
    labels = {"label": [f"deployctl.home={town.home}"]}
    owned = [one["Labels"]["deployctl.volume"] for one in town.api.volumes(filters=labels)["Volumes"] or ()]
    assert owned == ["data"], "I13: volumes"
    inside = Path(f"/proc/{main}/root/run/secrets/PASSWORD")
    assert inside.read_text(encoding="utf-8") == PASSWORD, "I13: its secret does not lie there"


@pytest.mark.parametrize("step", OF_WEB if LONG else FEW)
def test_an_exclusive_web_killed_at_a_step_is_settled_by_the_next_command(web: Town, book: Book, step: str) -> None:
    killed(web, book, WEB, WEB, step)


@pytest.mark.parametrize("step", STEPS if LONG else FEW)
def test_a_backing_component_killed_at_a_step_is_settled_by_the_next_command(database: Town, book: Book, step: str) -> None:
    killed(database, book, BOOKS, DB, step)
