"""How long `rollback --abort` takes while an upgrade hangs: its process is frozen in the health gate."""

from __future__ import annotations

import signal
import subprocess
import time

from bench.table import Row
from bench.world import COMMAND, Ran, World
from deployctl.domain.change.deployment import Phase
from deployctl.domain.inputs.names import AppName


def measure(world: World, *, rounds: int) -> list[Row]:
    ran = [_once(world, AppName(f"stuck-{i}")) for i in range(rounds)]
    return [
        Row("rollback --abort beside a frozen upgrade, whole CLI process", "ms", [r.ms for r in ran], "< 1,000", "max", 1000),
        Row("the same, in process", "ms", [float(r.answer["total_ms"]) for r in ran], "< 100", "max", 100),
    ]


def _once(world: World, app: AppName) -> Ran:
    world.add_app(app)
    for version in ("v1", "v2"):
        world.run("upgrade", app, version)
    world.add_app(app, path="/nowhere")  # no candidate is ever healthy there
    upgrade = subprocess.Popen([*COMMAND, "--home", str(world.settings.home), "-q", "upgrade", app, "v2"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_probing(world, app)
        upgrade.send_signal(signal.SIGSTOP)
        ran = world.run("rollback", app, "--abort")
    finally:
        upgrade.kill()
        upgrade.wait()
    if ran.code or ran.answer["to"] != "v1":
        raise RuntimeError(f"it did not go back: {ran.answer}")
    return ran


def _wait_until_probing(world: World, app: AppName) -> None:
    until, s = time.monotonic() + 20, world.services()
    while not ((found := s.ledger.find_open(app)) and found.phase is Phase.PROBING):
        if time.monotonic() > until:
            raise RuntimeError(f"the upgrade of {app} did not come to its health gate")
        time.sleep(0.02)
    s.close()
