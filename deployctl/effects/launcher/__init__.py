"""The launcher: a few KB that start a container's program once it may run, in any image. `launch.c` says how it works.

Built by `bin/launcher` with a pinned compiler; `tests/guards/test_launcher.py` builds it again and compares the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

OWN_FAILURE = 125  # exit code: the launcher itself could not do what it was asked to
PROCESSORS: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}  # as images name them → as our files do


def launcher_for(architecture: str) -> Path | None:
    """Return the launcher's file for an image of that architecture (`amd64`, as images name it); None: there is none."""
    processor = PROCESSORS.get(architecture)
    return Path(__file__).with_name(f"launch-{processor}") if processor else None


def launched(program: Sequence[str], *, launcher: str, address: str | None = None, lock: str | None = None,
             env: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return the words that start `program` by the launcher at that path of the container.

    `address`: IPv4 address that it waits for. `lock`: file that it locks. `env`: pairs of a name and the file that holds its
    value. Raises ValueError without a program.
    """
    if not program:
        raise ValueError("no program")
    words = [launcher]
    words += ["--address", address] if address else []
    words += ["--lock", lock] if lock else []
    for name, file in env:
        words += ["--env", f"{name}={file}"]
    return [*words, "--", *program]
