"""An exclusive component changes hands: how long a sibling at its fixed address gets no answer, beside `docker stop old &&
docker start new` of the same containers in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from bench.compose.program import find_compose, project
from bench.table import Row
from bench.world import IMAGE, World
from deployctl.demo.visitors import Visitors
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from tests import support
from tests.contract.engine_worlds import DockerWorld, container, docker_world
from tests.realapps.pairs import Pair, pair_of
from tests.realapps.stores import DATA, STORES, Store, connected

SHARES = {"redis": 0.5, "postgres": 0.7, "web": 0.7}  # of the plain way's gap
RATE = 100.0  # requests a second
CONFIRMED = ChangeOptions(confirmed=True)
USUAL = 1.3  # of the gap, for a client with the system's own time-outs
LABELS = {"redis": "Redis", "postgres": "PostgreSQL", "web": "a web app with a file, 0.3 s boot"}
Gap = tuple[float, float]  # of the impatient and the usual client, milliseconds
Ask = Callable[[float, float], Gap]  # from when to when, by the monotonic clock


def measure(world: World, *, rounds: int) -> list[Row]:
    compose = find_compose()
    rows = [row for store in STORES for row in _rows(world, store, rounds, compose)] + _queued(world, 2 * rounds)
    return rows + (_web_composed(world, 2 * rounds, compose) if compose else [])


def _queued(world: World, changes: int) -> list[Row]:
    """Have an exclusive web app change hands by the verbs, under visitors that come all the time."""
    app, s = AppName("alone"), world.services()
    port = world.add_app(app, extra='kind = "exclusive"\ndrain = "5s"')
    for version in ("v1", "v2"):
        upgrade(app, Version(version), s)
    with Visitors(f"http://127.0.0.1:{port}/", RATE) as visitors:
        for _ in range(changes // 2):
            rollback(app, s, options=CONFIRMED)
            undo(app, s, options=CONFIRMED)
    count = visitors.count
    return [Row(f"an exclusive web app: lost of {count.sent:,} requests at {RATE:g}/s over {changes} hand-overs", "requests",
                [count.lost], "0", "max", 0),
            Row("an exclusive web app: longest time without an answer; requests wait at HAProxy", "ms", [count.longest_gap_ms])]


def _web_composed(world: World, changes: int, compose: str) -> list[Row]:
    """Have the same app change by `docker compose up -d`, under the same visitors."""
    port = support.free_port()
    with project(compose, world.settings.home, support.engine_address()) as made:
        def up(version: str) -> None:
            made.up({"alone": {"image": f"{IMAGE}:{version}", "ports": [f"127.0.0.1:{port}:8080"]}}, "--wait")

        up("v1")
        with Visitors(f"http://127.0.0.1:{port}/", RATE) as visitors:
            for number in range(changes):
                up(f"v{2 - number % 2}")
        count = visitors.count
    return [Row(f"docker compose up -d of it: lost of {count.sent:,} requests at {RATE:g}/s over {changes} changes", "requests",
                [count.lost]),
            Row("docker compose up -d of it: longest time without an answer", "ms", [count.longest_gap_ms])]


def _rows(world: World, store: Store, rounds: int, compose: str | None) -> list[Row]:
    with docker_world(support.engine_address()) as beside:
        plain = _gaps(beside, store, rounds, plainly, launched=False)
    with docker_world(support.engine_address()) as beside:
        ours = _gaps(beside, store, rounds, Pair.hand_over, launched=True)
    composed = _composed_gaps(world, store, rounds, compose) if compose else []
    name, share = LABELS[store.name], SHARES[store.name]
    gap, former = ([fast for fast, _ in gaps] for gaps in (ours, plain))
    usual = [slow for _, slow in ours]
    return [
        Row(f"{name}: handed over, a sibling without answer", "ms", gap),
        Row(f"{name}: an ordinary client meanwhile", "ms", usual),
        Row(f"{name}: docker stop, docker start: a sibling without answer", "ms", former),
        Row(f"{name}: docker stop, docker start: an ordinary client", "ms", [slow for _, slow in plain]),
        *([Row(f"{name}: docker compose up -d: a sibling without answer", "ms", [fast for fast, _ in composed]),
           Row(f"{name}: docker compose up -d: an ordinary client", "ms", [slow for _, slow in composed])] if composed else []),
        Row(f"{name}: the first beside the third", "×", [median(gap) / median(former)], f"≤ {share}", "max", share),
        Row(f"{name}: the second beside the first", "×", [median(usual) / median(gap)], f"≤ {USUAL}", "max", USUAL),
    ]


def _gaps(world: DockerWorld, store: Store, rounds: int, change: Callable[[Pair], object], *, launched: bool) -> list[Gap]:
    with pair_of(world, store, launched=launched) as pair:
        connected(store.connect, pair.address).close()
        if not launched:
            world.engine.ensure_created(pair.specs[1])
        with _sibling(pair) as ask:
            return [_gap(pair, change, ask) for _ in range(rounds)]


def _composed_gaps(world: World, store: Store, rounds: int, compose: str) -> list[Gap]:
    """Have a service of that store change its image, in a network and on a volume that stay, at an address that stays."""
    with (docker_world(support.engine_address()) as beside, pair_of(beside, store, launched=False) as pair,
          project(compose, world.settings.home, support.engine_address()) as made):
        connected(store.connect, pair.address).close()  # its data is there
        beside.engine.ensure_stopped(pair.specs[0].name, grace=60)
        beside.engine.ensure_removed(pair.specs[0].name)

        def up(pair: Pair) -> None:
            made.up({"store": _service(pair)}, networks={"own": {"external": True, "name": pair.specs[0].network}},
                    volumes={"data": {"external": True, "name": pair.specs[0].mounts[0].source}})
            connected(pair.store.connect, pair.address).close()
            pair.live = 1 - pair.live

        up(pair)
        with _sibling(pair) as ask:
            return [_gap(pair, up, ask) for _ in range(rounds)]


def _service(pair: Pair) -> dict[str, Any]:
    """Return the service of the release that is not live."""
    spec = pair.specs[1 - pair.live]
    return {"image": spec.bundle.image, "networks": {"own": {"ipv4_address": spec.address}}, "volumes": [f"data:{DATA}"],
            "stop_signal": spec.bundle.stop_signal, "stop_grace_period": "60s", "mem_limit": "512m", "cpus": 2.0,
            "pids_limit": 256, **({"user": spec.bundle.user} if spec.bundle.user else {})}


def _gap(pair: Pair, change: Callable[[Pair], object], ask: Ask) -> Gap:
    time.sleep(0.3)  # both clients are answered
    began = time.monotonic()
    change(pair)
    return ask(began, time.monotonic())


def plainly(pair: Pair) -> None:
    """Do what people do without deployctl."""
    former, later = pair.specs[pair.live].name, pair.specs[1 - pair.live].name
    subprocess.run(["docker", "stop", "-t", "60", former], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "start", later], check=True, stdout=subprocess.DEVNULL)
    connected(pair.store.connect, pair.address).close()
    pair.live = 1 - pair.live


@contextmanager
def _sibling(pair: Pair) -> Iterator[Ask]:
    """Yield what asks two clients in the network of a container beside the pair."""
    spec = container(pair.world, number=9)
    seen = pair.world.engine.ensure_started(pair.world.engine.ensure_created(replace(spec, publish=None)).id)
    words = ["nsenter", "-t", str(seen.pid), "-n", sys.executable, "-m", "bench.sibling", pair.store.name, pair.address]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin
        assert clients.stdout

        def ask(began: float, answered: float) -> Gap:
            assert clients.stdin
            assert clients.stdout
            clients.stdin.write(f"{began} {answered}\n")
            clients.stdin.flush()
            fast, slow = json.loads(clients.stdout.readline())
            return fast * 1000, slow * 1000

        ask(0.0, time.monotonic())  # both are connected
        try:
            yield ask
        finally:
            clients.stdin.close()
