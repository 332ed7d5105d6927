"""A home of the benchmarks' own: fresh, with a short path, removed at the end whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployctl.bootstrap import services
from deployctl.config.settings import Settings
from deployctl.demo import stage
from deployctl.demo.load_image import load_images, unload_images
from deployctl.demo.webapp_image import webapp_image
from deployctl.effects.linux.guard import LinuxGuard
from deployctl.ports import Services
from deployctl.testing.silent_reporter import SilentReporter

IMAGE = "deployctl-bench/web"
VERSIONS = ("v1", "v2")
PEAK = """
import os, resource, sys
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    os.execv(sys.argv[1], sys.argv[1:])
print(os.wait4(child, 0)[2].ru_maxrss)
"""
COMMAND = [sys.executable, "-I", "-m", "deployctl"]


@dataclass(frozen=True, slots=True)
class Ran:
    """One whole process: its JSON result, wall milliseconds, exit code."""

    answer: Mapping[str, Any]
    ms: float
    code: int


@dataclass(slots=True)
class World:
    settings: Settings
    next_port: int = 18000

    def services(self) -> Services:
        return services(self.settings, reporter=SilentReporter(), actor="bench")

    def add_app(self, name: str, *, image: str = IMAGE, extra: str = "", path: str = "/healthz") -> int:
        """Write an app's file and return its public port."""
        guard = LinuxGuard()
        while guard.port_taken("127.0.0.1", self.next_port):
            self.next_port += 1
        port, self.next_port = self.next_port, self.next_port + 1
        self.settings.app_file(name).write_text(
            f'image = "{image}"\nport = 8080\nlisten = {port}\n{extra}\n[health]\npath = "{path}"\n')
        return port

    def run(self, *words: str) -> Ran:
        """Run the CLI as a user would, in a process of its own."""
        command = [*COMMAND, "--home", str(self.settings.home), "-o", "json", *words]
        started = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        ms = (time.perf_counter() - started) * 1000
        return Ran(json.loads(done.stdout), ms, done.returncode)

    def peak_mb(self, *words: str) -> float:
        """Run the CLI below a small process of its own: a child's peak counts what it was forked from."""
        return peak_mb(COMMAND, self.settings.home, *words)


def peak_mb(program: Sequence[str], home: Path, *words: str) -> float:
    command = [*program, "--home", str(home), "-o", "json", *words]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", PEAK, *command], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


@contextmanager
def world() -> Iterator[World]:
    """Yield a home with the benchmark's images loaded."""
    folder = Path(tempfile.mkdtemp(prefix="dctl-bench-"))
    settings = Settings(folder.resolve())
    settings.config_dir.mkdir()
    settings.server_file.write_text('[network]\npool = "172.29.0.0/16"\n[ports]\nrange = "28000-29999"\n')
    address = stage.engine(settings).address
    tags = [f"{IMAGE}:{version}" for version in VERSIONS]
    try:
        load_images(address, *(webapp_image(tag, version=v, color="blue", cache=cache_folder())
                               for tag, v in zip(tags, VERSIONS, strict=True)))
        yield World(settings)
    finally:
        stage.take_apart(settings)
        unload_images(address, *tags)


def cache_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"deployctl-bench-cache-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


