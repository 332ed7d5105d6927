"""Two steps into an unpacked engine, each its own program: a view of the machine, and the engine's own root.

    python -m tests.engines.inside view FOLDER            # network, /sys, /run and /tmp of its own, until stdin ends
    python -m tests.engines.inside root TREE FOLDER WORDS # the unpacked tree as the root, then WORDS
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

MNT_DETACH = 2
SHARED = ("proc", "sys", "dev", "run", "tmp")  # of the view, seen by engine and tests alike


def view(folder: Path) -> None:
    """Called in a mount and a network namespace that were just made."""
    groups = folder / "cgroup"
    for path in (groups, folder / "tmp"):
        path.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    _run("ip", "link", "set", "lo", "up")
    _run("mount", "--rbind", "/sys/fs/cgroup", str(groups))
    _run("mount", "-t", "sysfs", "sysfs", "/sys")  # one that shows this network
    _run("mount", "--rbind", str(groups), "/sys/fs/cgroup")
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for name in ("lock", "netns"):
        Path("/run", name).mkdir()
    _run("mount", "--bind", str(folder / "tmp"), "/tmp")
    print("ready", flush=True)
    sys.stdin.read()


def root(tree: Path, folder: Path, words: list[str]) -> None:
    """Called in a mount namespace of the view's. runc needs a real root: it cannot change it again in a chroot alone."""
    _run("mount", "--bind", str(tree), str(tree))
    for name in SHARED:
        _run("mount", "--rbind", f"/{name}", str(tree / name))
    for name in ("data", "old"):
        (tree / name).mkdir(exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    _run("mount", "--bind", str(folder / "data"), str(tree / "data"))
    os.chdir(tree)
    libc = ctypes.CDLL(None, use_errno=True)
    _run("pivot_root", ".", "old")  # moves this process along
    os.chdir("/")
    if libc.umount2(b"/old", MNT_DETACH):
        raise OSError(ctypes.get_errno(), "umount2")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ["PATH"] = path
    os.execvpe(words[0], words, {"PATH": path, "HOME": "/root"})  # noqa: S606


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


if __name__ == "__main__":
    if sys.argv[1] == "view":
        view(Path(sys.argv[2]))
    else:
        root(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
