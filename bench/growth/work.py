"""What commands cost with histories of several lengths, in both builds: CPU of the work alone, and of a whole
process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import former
from bench.growth.builds import Build, both
from bench.growth.curve import Promise, rows
from bench.growth.past import lengthen
from bench.table import Row

APP = "past"
FLAT = 0.3  # an exponent below which a cost counts as independent of the size
MORE = 1.3  # times the cost of a rollback with a short history

# Run by each build: the verbs of one home, each with services of its own, as commands have. CPU milliseconds.
_DRIVER = """
import json, sys, time
from pathlib import Path
build, home, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, build)
from deployctl.bootstrap import services
from deployctl.domain.inputs.names import AppName, Version
from deployctl.config.settings import Settings
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.view.status import status
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import preview_upgrade
app = AppName("past")
verbs = {"rollback": lambda s: rollback(app, s), "undo": lambda s: undo(app, s), "status APP": lambda s: status(s, app=app),
         "upgrade --dry-run": lambda s: preview_upgrade(app, Version("v1"), s)}
spent = {verb: [] for verb in verbs}
for _ in range(rounds + 1):
    for verb, act in verbs.items():
        began = time.process_time()
        s = services(Settings(Path(home)), reporter=SilentReporter(), actor="bench")
        act(s)
        s.close()
        spent[verb].append((time.process_time() - began) * 1000)
print(json.dumps({verb: values[1:] for verb, values in spent.items()}))
"""

Spent = dict[str, dict[int, list[float]]]  # verb → size → CPU milliseconds


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one build: in process, opening the ledger included, and a whole `deployctl rollback`."""

    inside: Spent = field(default_factory=dict)
    process: dict[int, list[float]] = field(default_factory=dict)


def measure(per: str, sizes: Sequence[int], length: Callable[[int], Mapping[str, int]], rounds: int) -> list[Row]:
    """Return the rows of a growing history; `length` returns how many releases and events it has at each size."""
    with both() as builds:
        before, now = (_cost(build, sizes, length, rounds) for build in builds)
    found = []
    for verb in now.inside:
        found += rows(f"CPU of {verb}", "ms", per, before.inside[verb], now.inside[verb], Promise(exponent=FLAT))
    found += rows("CPU of a whole rollback process", "ms", per, before.process, now.process, Promise())
    few, many = min(sizes), max(sizes)
    times = median(now.process[many]) / median(now.process[few])
    return [*found, Row(f"a whole rollback process at {many:,} {per}, to one at {few:,}: this build", "×", [times],
                        f"≤ {MORE}", "median", MORE)]


def _cost(build: Build, sizes: Sequence[int], length: Callable[[int], Mapping[str, int]], rounds: int) -> Cost:
    build.home.add_app(APP, extra="keep_warm = 1")
    for version in ("v1", "v2"):
        build.run("upgrade", APP, version)
    cost = Cost()
    for size in sizes:
        lengthen(build.home.settings.ledger, APP, **length(size))
        for verb, values in _inside(build, rounds).items():
            cost.inside.setdefault(verb, {})[size] = values
        cost.process[size] = []
        for _ in range(rounds):
            cost.process[size].append(build.run("rollback", APP).cpu_ms)
            build.run("undo", APP)
    return cost


def _inside(build: Build, rounds: int) -> dict[str, list[float]]:
    folder = Path(build.program[-1])
    command = [sys.executable, "-I", "-c", former.script(folder, _DRIVER), str(folder), str(build.home.settings.home),
               str(rounds)]
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return dict(json.loads(told.stdout))
