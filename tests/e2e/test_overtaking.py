"""A rollback at once, while an upgrade hangs: its process is frozen, and wakes up when all is over."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from tests.e2e.cli import Cli, wait_until
from tests.images import ensure_images

SLOW = "dctl-test/slowstart:v1"


def test_a_rollback_overtakes_an_upgrade_that_hangs_and_the_sleeper_changes_nothing(cli: Cli, engine_url: str) -> None:
    ensure_images(("slowstart", "v1"), base_url=engine_url)
    cli.serving("hung")
    cli.do("upgrade", "hung", "v2")
    cli.write("hung", health={"path": "/healthz", "deadline": "60s"}, env={"START_SECONDS": "30"}, stop_grace="1s")
    upgrade = cli.begin("upgrade", "hung", "slow", "--image", SLOW)
    try:
        wait_until(lambda: (cli.app("hung")["deployment"] or {}).get("phase") == "probing", what="the health phase")
        os.kill(upgrade.pid, signal.SIGSTOP)
        busy = cli.refused(6, "rollback", "hung")
        assert "deployctl rollback hung --abort" in busy.told["error"]["remedy"]
        with cli.visitors("hung") as visitors:
            told = cli.do("rollback", "hung", "--abort")
            assert (told["from"], told["to"], told["confirmed"]) == ("v2", "v1", True)
            assert cli.get("hung").version == "v1"
            os.kill(upgrade.pid, signal.SIGCONT)
            woken = cli.ended(upgrade)
            time.sleep(0.5)
        assert visitors.count.lost == 0
    finally:
        _end(upgrade)
    assert (woken.code, woken.told["error"]["code"]) == (6, "busy")
    assert woken.told["serving"]["version"] == "v1"
    assert cli.attempts("hung")[0]["phase"] == "reverted"
    assert cli.active("hung") == "v1"
    cli.do("prune", "hung", "-y")
    assert {i["version"] for i in cli.app("hung")["instances"]} == {"v1", "v2"}


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.communicate()
