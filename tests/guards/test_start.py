"""Starting stays cheap: what is dear to import is imported by those who use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.guards import tree

DEAR = {
    "argon2", "asyncio", "docker", "flask", "jinja2", "prometheus_client",
    "pydantic", "requests", "rich", "sqlite_utils", "tenacity", "waitress",
}  # fmt: skip
CLI_TOO = {"click"}  # for help, completion and usage errors only: docs/adr/0008-plain-lines-without-click.md
# What a warm rollback and `status` load, to the last function.
WARM_PATH = (
    "bootstrap", "cli.main", "config.settings", "execution.actions", "execution.health_gate", "execution.labels",
    "execution.revert_steps", "execution.runner", "ledger.sqlite_ledger", "effects.docker.engine", "effects.http.prober",
    "effects.linux.guard", "usecases.read_facts", "usecases.change.rollback", "usecases.change.undo",
)  # fmt: skip


def loaded_by(*words: str) -> set[str]:
    """Return the top names that this Python command imports."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def test_telling_the_version_loads_nothing_dear() -> None:
    loaded = loaded_by("-m", "deployctl", "--version")
    assert "deployctl" in loaded
    assert not loaded & (DEAR | CLI_TOO)


def test_the_way_of_a_warm_rollback_loads_nothing_dear() -> None:
    loaded = loaded_by("-c", "; ".join(f"import deployctl.{name}" for name in WARM_PATH))
    assert "sqlite3" in loaded
    assert not loaded & (DEAR | CLI_TOO)


def test_a_dashboard_that_is_looked_at_loads_no_more_than_it_needs() -> None:
    """What it loads stays: megabytes for as long as `serve` runs."""
    loaded = loaded_by("-c", "import deployctl.cli.serve, deployctl_web.app, deployctl_web.http.server")
    assert {"flask", "jinja2", "waitress"} <= loaded
    assert not loaded & (DEAR - {"flask", "jinja2", "waitress"})


def test_a_plain_command_is_carried_out_without_click(tmp_path: Path) -> None:
    """None of these makes a ledger, for which sqlite-utils would bring click along."""
    for words in ([], ["version", "-o", "json"], ["install", "--print"]):
        loaded = loaded_by("-m", "deployctl", "--home", str(tmp_path), *words)
        assert "deployctl" in loaded
        assert not loaded & (DEAR | CLI_TOO), words
