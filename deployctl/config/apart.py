"""Checks the files of a home in a separate process, on behalf of one that runs for months: pydantic would stay loaded,
and 10 MB with it, although files are rarely edited.

`python -m deployctl.config.apart HOME` checks every file and caches the results.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployctl.config.settings import Settings

WAIT = 30.0  # seconds; a thousand files take 3
_wanted, _lock = False, Lock()


def judge_apart() -> None:
    """Have this process's files checked by another one from now on."""
    global _wanted
    _wanted = True


def judged_apart(settings: Settings) -> bool:
    """Return whether another process has just checked the files: errors are not cached, and the caller finds them
    itself. False if it checks by itself anyway."""
    if not _wanted or "pydantic" in sys.modules:
        return False
    import subprocess

    with _lock, suppress(OSError, subprocess.TimeoutExpired):
        command = [sys.executable, "-I", "-m", "deployctl.config.apart", str(settings.home)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False, timeout=WAIT)
        return done.returncode == 0
    return False


def _judge(home: Path) -> None:
    from deployctl.config.cache import load_judged_apps, load_judged_server
    from deployctl.config.settings import Settings

    settings = Settings(home)
    load_judged_apps(settings, load_judged_server(settings), now=lambda _app: None)


if __name__ == "__main__":
    _judge(Path(sys.argv[1]))
