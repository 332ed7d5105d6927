"""Commands beside those of a former build that stands set up in a folder of its own: in turns, as whole processes.

Each build is what its `bin/setup` installed, compiled, run by its own interpreter in a home of its own on the same
engine. CPU is what the command's process spent, user and system. Nothing else of deployctl runs meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.former import ROOT
from bench.growth.apps import filled
from bench.table import Row
from bench.world import World, world

APP = "beside"
CPU, WALL = "CPU ms", "ms"
GOAL, APPS_GOAL = 0.40, 1.20
MANY = 200
COMMANDS = ("rollback", "undo", "status", "upgrade --dry-run")


@dataclass(slots=True)
class Build:
    """One build, its home, and what its commands took: milliseconds by command."""

    name: str
    folder: Path
    home: World
    dry_run: Sequence[str]
    took: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def program(self) -> list[str]:
        return [str(self.folder / ".venv/bin/deployctl")]

    def run(self, *words: str, home: Path | None = None, told_as: str = "") -> None:
        """Run a command that must succeed, as it is typed, and note what it took."""
        command = [*self.program, "--home", str(home or self.home.settings.home), *words]
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
            _, status, used = os.wait4(process.pid, 0)
            ms = (time.perf_counter() - began) * 1000
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                raise RuntimeError(f"{self.name}: {' '.join(words)}: {said.read().decode()}")
        self.note(told_as or words[0], CPU, (used.ru_utime + used.ru_stime) * 1000)
        self.note(told_as or words[0], WALL, ms)

    def note(self, command: str, unit: str, value: float) -> None:
        self.took.setdefault((command, unit), []).append(value)


def measure(*, former: Path, rounds: int, apps: int = MANY) -> list[Row]:
    """Return the medians of so many runs of each command, and this build's as a share of the former's."""
    with world() as first, world() as second:
        plan = ("upgrade", APP, "v1", "--dry-run")
        builds = (Build("former build", former.resolve(), first, plan),
                  Build("this build", ROOT, second, (*plan, "--pull", "never")))
        for build in builds:
            _prepare(build)
        in_turns(builds, rounds, _commands)
    return [*(row for command in COMMANDS for row in pair(command, builds, GOAL)), *_status_of_many(builds, rounds, apps)]


def _prepare(build: Build) -> None:
    """Compile the build, and let its home have an app with a warm standby."""
    subprocess.run([build.folder / ".venv/bin/python", "-m", "compileall", "-q", build.folder / "deployctl",
                    build.folder / "web"], check=True)
    build.home.add_app(APP, extra="keep_warm = 1")
    for version in ("v1", "v2"):
        build.run("upgrade", APP, version)
    _commands(build)  # what is read and judged once for each change of a file is read
    build.took.clear()


def in_turns(builds: Sequence[Build], rounds: int, act: Callable[[Build], None]) -> None:
    for number in range(rounds):
        for build in builds if number % 2 else builds[::-1]:
            act(build)


def _commands(build: Build) -> None:
    build.run("rollback", APP)
    build.run("status")
    build.run(*build.dry_run, told_as="upgrade --dry-run")
    build.run("undo", APP)


# -- many apps --------------------------------------------------------------------------------------------------------
def _status_of_many(builds: Sequence[Build], rounds: int, apps: int) -> list[Row]:
    """Return what `status` takes of one app and of many, over an engine that stands in."""
    for build in builds:
        for size in (1, apps):
            with filled(build.folder, size) as home:
                build.run("status", home=home, told_as="warm up")
                for _ in range(rounds):
                    build.run("status", home=home, told_as=_of(size))
    found = []
    for build in builds:
        sizes = [build.took[_of(size), CPU] for size in (1, apps)]
        now = build is builds[-1]
        found += [Row(f"status of {size:,} app{'s' * (size > 1)}: {build.name}", CPU, values)
                  for size, values in zip((1, apps), sizes, strict=True)]
        found.append(Row(f"status of {apps:,} apps, to that of one: {build.name}", "×",
                         [median(sizes[1]) / median(sizes[0])], f"≤ {APPS_GOAL}" if now else "",
                         "median" if now else "", APPS_GOAL if now else None))
    return found


def _of(size: int) -> str:
    return f"status of {size}"


def pair(command: str, builds: Sequence[Build], goal: float) -> list[Row]:
    rows = []
    for unit in (CPU, WALL):
        before, now = (build.took.get((command, unit), []) for build in builds)
        if before and now:
            rows += [Row(f"{command}: {build.name}", unit, build.took[command, unit]) for build in builds]
            rows.append(Row(f"{command}: this build / the former", f"× of {unit}", [median(now) / median(before)],
                            f"≤ {goal}", "median", goal))
    return rows
