"""The build that 0.1.0 was, taken out of this checkout's history, to be run beside the present one."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

COMMIT = "87d5f67d98a1122c5dcf4f21c6f0f11c8dfc417f"  # the last commit of 0.1.0
ROOT = Path(__file__).parents[1]
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from deployctl.__main__ import run; run()"


def unpack(folder: Path, *paths: str) -> str | None:
    """Write these of the former build's files there, its packages unless others are named; None when done, else why that
    cannot be."""
    asked = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "archive", COMMIT, *(paths or ("deployctl", "web"))]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except FileNotFoundError:
        return "git is not installed"
    if done.returncode:
        return f"this clone does not have the commit {COMMIT[:7]} of 0.1.0"
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="tar")
    return None


def program(build: Path = ROOT) -> list[str]:
    """Return the command that runs the build in that folder: the same way for each, so that they can be compared."""
    return [sys.executable, "-I", "-c", _START, str(build)]
