"""Starting stays cheap: expensive imports are made where they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards import tree

DEAR = {
    "argon2", "asyncio", "docker", "flask", "jinja2", "prometheus_client",
    "pydantic", "requests", "rich", "sqlite_utils", "tenacity", "waitress",
}  # fmt: skip
CLI_TOO = {"click"}  # for help, completion and usage errors only: docs/adr/0008-plain-lines-without-click.md
# Of the standard library: what a short command has no use for, in all 20 ms. `dataclasses` brings `inspect`.
SELDOM = {
    "bz2", "concurrent", "csv", "dataclasses", "difflib", "email", "getpass", "http", "inspect", "logging", "lzma", "mmap",
    "platform", "random", "secrets", "shutil", "socket", "ssl", "sqlite3", "subprocess", "tempfile", "tomllib", "traceback",
    "typing", "uuid", "zipfile",
}  # fmt: skip
# What a warm rollback and `status` load, to the last function.
WARM_PATH = (
    "bootstrap", "cli.main", "config.settings", "execution.actions", "execution.health_gate", "execution.labels",
    "execution.revert_steps", "execution.runner", "ledger.sqlite_ledger", "effects.docker.engine", "effects.http.prober",
    "effects.linux.guard", "usecases.read_facts", "usecases.change.rollback", "usecases.change.undo",
)  # fmt: skip


# Where each of the short verbs begins, and how many modules of ours it may load before it does anything; each takes
# 0.15 to 0.2 ms. What it loads while it works, `python -m bench commands` sees.
VERBS = {
    "rollback": ("usecases.change.rollback", "cli.rendering.change"),
    "undo": ("usecases.change.undo", "cli.rendering.change"),
    "status": ("usecases.view.status", "usecases.steps.adopt", "cli.rendering.status"),
    "upgrade --dry-run": ("usecases.change.upgrade", "cli.rendering.change"),
}
ALL_BEGIN_WITH = ("__main__", "bootstrap", "cli.main", "cli.run_change", "cli.reporters.reporter")
MAX_MODULES = 137


def modules_loaded_by(*words: str) -> set[str]:
    """Return the full names that this Python command imports."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def loaded_by(*words: str) -> set[str]:
    """Return the top names that this Python command imports."""
    return {name.split(".")[0] for name in modules_loaded_by(*words)}


@pytest.mark.parametrize("verb", VERBS)
def test_a_short_verb_loads_few_modules_and_nothing_that_it_seldom_needs(verb: str) -> None:
    script = "; ".join(f"import deployctl.{name}" for name in (*ALL_BEGIN_WITH, *VERBS[verb]))
    loaded = modules_loaded_by("-c", script)
    assert {name.split(".")[0] for name in loaded} & (DEAR | CLI_TOO | SELDOM) == set()
    ours = {name for name in loaded if name.split(".")[0] == "deployctl"}
    assert 50 < len(ours) <= MAX_MODULES, sorted(ours)


def test_telling_the_version_loads_nothing_dear() -> None:
    loaded = loaded_by("-m", "deployctl", "--version")
    assert "deployctl" in loaded
    assert not loaded & (DEAR | CLI_TOO)


def test_the_way_of_a_warm_rollback_loads_nothing_dear() -> None:
    loaded = loaded_by("-c", "; ".join(f"import deployctl.{name}" for name in WARM_PATH))
    assert "json" in loaded
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


@pytest.mark.parametrize("path", tree.python_files(*tree.PRODUCT), ids=tree.module_name)
def test_every_dataclass_of_the_product_is_one_of_ours(path: Path) -> None:
    """docs/adr/0007: one of the standard library takes 0.6 ms at each start, and brings `inspect`."""
    if tree.module_name(path) != "dataclass":
        assert "from dataclasses import" not in path.read_text()
