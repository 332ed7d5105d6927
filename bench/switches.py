"""Requests lost: 1,000 switches under an open-loop load, and the plain way on the same image in the same run."""

from __future__ import annotations

from bench.plain import plain_switches
from bench.table import Row
from bench.world import World
from deployctl.demo.visitors import Visitors
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade

RATE = 200.0  # requests a second


def measure(world: World, *, switches: int, plain_rounds: int) -> list[Row]:
    rows = []
    for keep_alive in (True, False):
        lost, gap, sent = _switch_under_load(world, switches, keep_alive=keep_alive)
        how = "with keep-alive" if keep_alive else "a connection each"
        rows += [
            Row(f"lost of {sent:,} requests over {switches:,} switches, {how}", "requests", [lost], "0", "max", 0),
            Row(f"longest time without a good answer, {how}", "ms", [gap]),
        ]
    plain = plain_switches(world, plain_rounds, RATE)
    return [
        *rows,
        Row("plain way: docker stop old, docker start new: outage", "ms", [p.outage_ms for p in plain]),
        Row("plain way: requests lost each time", "requests", [p.lost for p in plain]),
        Row("plain way: time of the two commands", "ms", [p.command_ms for p in plain]),
    ]


def _switch_under_load(world: World, switches: int, *, keep_alive: bool) -> tuple[int, float, int]:
    """Switch back and forth by rollback and undo, and return what the visitors counted."""
    app = AppName("kept" if keep_alive else "fresh")
    port = world.add_app(app)
    s = world.services()
    for version in ("v1", "v2"):
        upgrade(app, Version(version), s)
    with Visitors(f"http://127.0.0.1:{port}/", RATE, keep_alive=keep_alive) as visitors:
        for _ in range(switches // 2):
            rollback(app, s)
            undo(app, s)
    count = visitors.count
    return count.lost, count.longest_gap_ms, count.sent
