"""`status` of several components an app, beside as many apps of one container in the build that had no components: on the
engine of this server, and on a simulated one with a thousand containers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import former
from bench.growth.apps import filled
from bench.growth.builds import Build
from bench.table import Row
from bench.world import IMAGE, World, peak_mb, world
from deployctl.config.settings import Settings

COMPONENTS = 10
OTHER_PORTS = 26_000  # both homes' HAProxys run at the same time
MORE, MEMORY = 1.5, 1.1  # times what the former build takes


@dataclass(slots=True)
class _Taken:
    """What `status` took of one build, in milliseconds and MB."""

    name: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def add(self, build: Build, instances: int) -> None:
        spent = build.run("status")
        if (found := sum(len(app["instances"]) for app in spent.answer["apps"])) != instances:
            raise RuntimeError(f"{build.name}: {found} of {instances} instances")
        self.cpu.append(spent.cpu_ms)
        self.wall.append(spent.wall_ms)
        self.memory.append(peak_mb(build.program, build.home.settings.home, "status"))


def measure(*, apps: int, many: int, rounds: int) -> list[Row]:
    """`apps` of ten components each on a real engine, `many` on a simulated one."""
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        before = Path(folder)
        if why := former.unpack(before, commit=former.BEFORE_COMPONENTS):
            raise RuntimeError(why)
        with _real(before, former.ROOT, apps) as builds:
            found = _rows("", apps, _compared(*builds, apps * COMPONENTS, rounds))
        with filled(before, many * COMPONENTS) as one, filled(former.ROOT, many, COMPONENTS, OTHER_PORTS) as other:
            builds = _build(before, one), _build(former.ROOT, other)
            return found + _rows(", simulated engine", many, _compared(*builds, many * COMPONENTS, rounds))


@contextmanager
def _real(before: Path, now: Path, apps: int) -> Iterator[tuple[Build, Build]]:
    with world() as first, world() as second:
        former_build, build = Build("before", former.program(before), first), Build("now", former.program(now), second)
        for number in range(apps * COMPONENTS):
            first.add_app(f"app-{number}")
            _done(former_build, f"app-{number}")
        for number in range(apps):
            _write(second, f"app-{number}")
            _done(build, f"app-{number}")
        yield former_build, build


def _write(home: World, app: str) -> None:
    home.add_app(app)
    parts = [f"[components.part{n}]\nport = 8080\nimage = \"{IMAGE}\"\nhealth = {{ path = \"/healthz\" }}"
             for n in range(1, COMPONENTS)]
    with home.settings.app_file(app).open("a") as file:
        file.write("\n".join(parts))


def _done(build: Build, app: str) -> None:
    ran = build.run("upgrade", app, "v1")
    if ran.code:
        raise RuntimeError(f"{build.name}: {ran.answer}")


def _build(folder: Path, home: Path) -> Build:
    return Build(folder.name, former.program(folder), World(Settings(home)))


def _compared(before: Build, now: Build, instances: int, rounds: int) -> tuple[_Taken, _Taken]:
    """Run both in turns; the first of each is not counted."""
    for build in (before, now):
        build.run("status")
    taken = _Taken("before"), _Taken("now")
    for _ in range(rounds):
        for build, one in zip((before, now), taken, strict=True):
            one.add(build, instances)
    return taken


def _rows(where: str, apps: int, taken: tuple[_Taken, _Taken]) -> list[Row]:
    before, now = taken
    former_name, name = f"{apps * COMPONENTS:,} apps of one container before", f"{apps:,} apps of {COMPONENTS} components"

    def compared(what: str, unit: str, theirs: Sequence[float], ours: Sequence[float], most: float) -> list[Row]:
        times = median(ours) / median(theirs)
        return [Row(f"status, {what}, {former_name}{where}", unit, theirs), Row(f"status, {what}, {name}{where}", unit, ours),
                Row(f"status, {what}: the latter beside the former{where}", "×", [times], f"≤ {most}", "max", most)]

    return [*compared("CPU", "ms", before.cpu, now.cpu, MORE), *compared("time", "ms", before.wall, now.wall, MORE),
            *compared("peak memory", "MB", before.memory, now.memory, MEMORY)]
