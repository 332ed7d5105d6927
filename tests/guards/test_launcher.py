"""The launcher that is in the repository is what its source makes."""

from __future__ import annotations

import subprocess

from tests.guards import tree


def test_its_bytes_are_those_that_the_source_makes() -> None:
    build = [str(tree.ROOT / "bin" / "launcher"), "--check"]
    built = subprocess.run(build, capture_output=True, text=True, timeout=280, check=False)
    assert built.returncode == 0, f"run bin/launcher and commit what it writes\n{built.stderr}"
