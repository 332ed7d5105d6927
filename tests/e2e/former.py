"""The build that 0.1.0 was, taken out of this checkout's history and run beside the present one."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

COMMIT = "87d5f67d98a1122c5dcf4f21c6f0f11c8dfc417f"  # the last commit of 0.1.0
ROOT = Path(__file__).parents[2]


def unpack(folder: Path) -> str | None:
    """Write the former build's packages there; None when done, else why that cannot be."""
    asked = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "archive", COMMIT, "deployctl", "web"]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except FileNotFoundError:
        return "git is not installed"
    if done.returncode:
        return f"this clone does not have the commit {COMMIT} of 0.1.0: {done.stderr.decode().strip()}"
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="tar")
    return None


def do(build: Path, home: Path, *words: str) -> None:
    """Run one command of the former build in that home, and insist on success."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}
    command = [sys.executable, "-m", "deployctl", "--home", str(home), *words]
    done = subprocess.run(command, env={**kept, "PYTHONPATH": str(build)}, cwd=build, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
