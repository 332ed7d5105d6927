"""The build of 0.1.0, or another one of this checkout's history, to be run beside the present one."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

COMMIT = "87d5f67d98a1122c5dcf4f21c6f0f11c8dfc417f"  # the last commit of 0.1.0
BEFORE_COMPONENTS = "6d43965ee844e0da5981c6813dc53813028d21fc"  # the last one in which an app was one container
ROOT = Path(__file__).parents[1]
# Modules that a script run by either build imports: their names here → their names then, both below `deployctl`.
NAMES = {
    "config.settings": "settings",
    "domain.change.deployment": "domain.deployment",
    "domain.change.plan": "domain.plan",
    "domain.host.access": "domain.access",
    "domain.host.denied_changes": "domain.refused",
    "domain.host.server": "domain.server",
    "domain.images.release": "domain.release",
    "domain.inputs.names": "domain.names",
    "domain.proxy.traffic": "domain.traffic",
    "effects.haproxy.home": "effects.haproxy_home",
    "effects.haproxy.master": "effects.haproxy_master",
    "effects.haproxy.switch": "effects.haproxy_switch",
    "effects.linux.system_clock": "effects.system_clock",
    "usecases.access.tokens": "usecases.tokens",
    "usecases.change.rollback": "usecases.rollback",
    "usecases.change.undo": "usecases.undo",
    "usecases.change.upgrade": "usecases.upgrade",
    "usecases.view.status": "usecases.status",
}
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from deployctl.__main__ import run; run()"


def unpack(folder: Path, *paths: str, commit: str = COMMIT) -> str | None:
    """Write these files of a former build there, its packages unless others are named; None if done, else why that is
    not possible."""
    asked = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "archive", commit, *(paths or ("deployctl", "web"))]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except FileNotFoundError:
        return "git is not installed"
    if done.returncode:
        return f"this clone does not have the commit {commit[:7]}"
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="tar")
    return None


def script(build: Path, text: str) -> str:
    """Return a script of ours as that build can run it: 0.1.0 has other names for some of its imports."""
    is_old = not (build / "deployctl/config/settings.py").exists()
    for now, then in NAMES.items() if is_old else ():
        text = text.replace(f"from deployctl.{now} import ", f"from deployctl.{then} import ")
    return text


def python(build: Path = ROOT) -> str:
    """Return the interpreter for the build. The former one's dashboard needs libraries that this one does without: for
    it DEPLOYCTL_FORMER_PYTHON names the interpreter of an environment that its own bin/setup created."""
    return os.environ.get("DEPLOYCTL_FORMER_PYTHON", sys.executable) if build != ROOT else sys.executable


def program(build: Path = ROOT) -> list[str]:
    """Return the command that runs the build in that folder: the same way for each, so that they can be compared."""
    return [python(build), "-I", "-c", _START, str(build)]
