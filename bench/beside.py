"""The cost of commands compared with 0.1.0: in turns, in homes of their own, on the same engine.

CPU is that of the command's own process; the wall time of an upgrade excludes the container's boot.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import former
from bench.table import Row
from bench.world import World, world

APP = "beside"
BOOT = {"create", "start"}


@dataclass(slots=True)
class Build:
    """One build in one home, and what its commands took: milliseconds, by command."""

    name: str
    program: Sequence[str]
    home: World
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def run(self, *words: str, less: frozenset[str] | set[str] = frozenset()) -> None:
        """Run a command that must succeed, and record what it took, without the steps of these kinds."""
        command = [*self.program, "--home", str(self.home.settings.home), "-o", "json", *words]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        with process:
            answer = json.loads(process.stdout.read()) if process.stdout else {}
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        ms = (time.perf_counter() - started) * 1000
        if process.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: {answer}")
        boot = sum(step["ms"] for step in answer["steps"] if step["kind"] in less)
        self.wall.setdefault(words[0], []).append(ms - boot)
        self.cpu.setdefault(words[0], []).append((used.ru_utime + used.ru_stime) * 1000)


def measure(present: World, *, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder, world() as other:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        builds = (Build("0.1.0", former.program(Path(folder)), other), Build("this build", former.program(), present))
        for build in builds:
            build.home.add_app(APP, extra="keep_warm = 1")
            for version in ("v1", "v2"):
                build.run("upgrade", APP, version, less=BOOT)
            build.cpu.clear()
            build.wall.clear()
        for number in range(rounds):
            for build in builds if number % 2 else builds[::-1]:
                _once(build, number)
    return [row for command in ("upgrade", "rollback") for row in _rows(command, *builds)]


def _once(build: Build, number: int) -> None:
    """Upgrade to a release of its own, and roll back: a changed configuration holds no version."""
    file = build.home.settings.app_file(APP)
    text = file.read_text()
    file.write_text(text.replace("\n[health]", f'\n[env]\nROUND = "{number}"\n\n[health]'))
    build.run("upgrade", APP, "v2", less=BOOT)
    build.run("rollback", APP)
    file.write_text(text)


def _rows(command: str, before: Build, now: Build) -> list[Row]:
    rows = []
    for what, unit in (("cpu", "CPU ms"), ("wall", "ms")):
        first, second = getattr(before, what)[command], getattr(now, what)[command]
        less = ", less create and start" if command == "upgrade" and what == "wall" else ""
        rows += [Row(f"{command}{less}: {before.name}", unit, first), Row(f"{command}{less}: {now.name}", unit, second)]
        rows.append(Row(f"{command}{less}: this build / 0.1.0", "×", [median(second) / median(first)]))
    return rows
