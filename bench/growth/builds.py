"""Both builds, each in a home of its own on the same engine, and what one of their commands costs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import former
from bench.world import World, world


@dataclass(frozen=True, slots=True)
class Spent:
    """One whole process: its JSON result, exit code, CPU milliseconds (user and system), and how many it took."""

    answer: Any
    code: int
    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class Build:
    """One build and its home. `program` is the command that runs it."""

    name: str
    program: Sequence[str]
    home: World

    def run(self, *words: str) -> Spent:
        """Run a command as a user would. Its cost excludes its children's share."""
        command = [*self.program, "--home", str(self.home.settings.home), "-o", "json", *words]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with process:
            said = process.stdout.read() if process.stdout else b""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = (time.perf_counter() - began) * 1000
        return Spent(json.loads(said), process.returncode, (used.ru_utime + used.ru_stime) * 1000, took)


@contextmanager
def both() -> Iterator[tuple[Build, Build]]:
    """Yield 0.1.0 and this build, with empty homes. Raises RuntimeError if this clone does not have that commit."""
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder, world() as first, world() as second:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        yield Build("0.1.0", former.program(Path(folder)), first), Build("this build", former.program(), second)
