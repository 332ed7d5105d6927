"""Guard routes stand while any test run lives, and only those that a test run added are taken away again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import machine

pytestmark = pytest.mark.skipif(not machine.may_route(), reason="routes need Linux, root and the command ip")

TWO_RUNS = """
import json, pathlib, sys
from tests import machine
machine.LOCKS = pathlib.Path(sys.argv[1])
for subnet in sys.argv[2:]:
    machine.add_guard(subnet)
seen = []
with machine.presence(guard=True):
    with machine.presence(guard=True):
        seen.append(sorted(machine.unreachable()))
    seen.append(sorted(machine.unreachable()))
seen.append(sorted(machine.unreachable()))
print(json.dumps(seen))
"""


def seen_by_two_runs(locks: Path, *there_before: str) -> list[list[str]]:
    """Return the guards while both runs live, after the first end and after the last, in a network of its own."""
    command = ["unshare", "--net", sys.executable, "-c", TWO_RUNS, str(locks), *there_before]
    seen: list[list[str]] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seen


def test_the_last_run_out_takes_the_guards_away(tmp_path: Path) -> None:
    guards = sorted(machine.GUARDED)
    assert seen_by_two_runs(tmp_path) == [guards, guards, []]


def test_a_guard_that_was_there_before_stays(tmp_path: Path) -> None:
    guards = sorted(machine.GUARDED)
    assert seen_by_two_runs(tmp_path, guards[0]) == [guards, guards, [guards[0]]]


def test_a_guard_that_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    left = machine.GUARDED[1]
    (tmp_path / "running").write_text(f"{left}\n")
    assert seen_by_two_runs(tmp_path, left)[-1] == []
