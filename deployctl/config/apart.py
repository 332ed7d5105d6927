"""Judging the files of a home in a process of its own, for one that lives for months: pydantic stays where it was loaded,
and 10 MB with it, although a file is edited once in a while.

`python -m deployctl.config.apart HOME` judges every file and keeps the verdicts.
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
    """Let this process have files judged by another one from now on."""
    global _wanted
    _wanted = True


def judged_apart(settings: Settings) -> bool:
    """Tell whether another process has judged the files just now: what is wrong with a file is not kept, and this one
    finds it out by itself. False where it judges by itself anyway."""
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
