"""A file system of a few megabytes that can be filled. What a killed run left mounted is taken apart by the next."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from tests import machine

SLOTS = 4
BLOCKS = (2**20, 2**16, 2**10)  # bytes, each finer than the one before


@contextmanager
def small_disk(mount_point: Path, *, megabytes: int) -> Iterator[None]:
    """Mount one there; it and its loop device end with the block."""
    with ExitStack() as stack:
        slot, record = _free_slot(stack)
        folder = Path(f"/tmp/dctl-disk{slot}")
        _take_apart(record, folder)
        folder.mkdir(mode=0o700)
        record.write(f"{mount_point}\n")
        record.flush()
        try:
            with (folder / "image").open("wb") as file:
                file.truncate(megabytes * 2**20)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", folder / "image"], check=True)
            mount_point.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-o", "loop", folder / "image", mount_point], check=True)
            yield
        finally:
            _take_apart(record, folder)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill it to the last kilobyte while inside."""
    fillers = {folder / f"filler{size}": size for size in BLOCKS}
    try:
        for filler, size in fillers.items():
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * size)
        yield
    finally:
        for filler in fillers:
            filler.unlink(missing_ok=True)


def take_apart_left_behind() -> None:
    for slot in range(SLOTS):
        with ExitStack() as stack, suppress(BlockingIOError):
            record = stack.enter_context(machine.locked(f"disk-{slot}", fcntl.LOCK_EX | fcntl.LOCK_NB))
            _take_apart(record, Path(f"/tmp/dctl-disk{slot}"))


def _take_apart(record: IO[str], folder: Path) -> None:
    record.seek(0)
    for point in record.read().splitlines():
        if Path(point).is_mount():
            subprocess.run(["umount", "--lazy", point], check=True)
    record.truncate(0)
    shutil.rmtree(folder, ignore_errors=True)


def _free_slot(stack: ExitStack) -> tuple[int, IO[str]]:
    for slot in range(SLOTS):
        with suppress(BlockingIOError):
            return slot, stack.enter_context(machine.locked(f"disk-{slot}", fcntl.LOCK_EX | fcntl.LOCK_NB))
    raise RuntimeError(f"{SLOTS} small disks are in use already")
