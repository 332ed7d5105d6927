"""Temporary homes: each has a slot of its own (network pool and host ports), and is taken apart whatever happened.

A slot remembers its home in its lock file, so that the next run takes apart what a killed run left behind.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO

import docker

from deployctl.ledger.file.identity import find_keys
from deployctl.paths import Path as OwnPath
from tests import machine, support

SLOTS = 16


def pool_of(slot: int) -> str:
    return f"172.31.{16 * slot}.0/20"


def ports_of(slot: int) -> range:
    return range(20000 + 500 * slot, 20500 + 500 * slot)


@contextmanager
def temporary_home(url: str | None) -> Iterator[Path]:
    """Hand out a fresh home below /tmp, short enough for Unix sockets; `url` is the engine to clean afterwards."""
    with _free_slot(url) as (slot, record):
        home = Path(tempfile.mkdtemp(prefix="dctl-", dir="/tmp")).resolve()
        record.write(f"{home}\n")
        record.flush()
        try:
            _write_server_file(home, slot)
            yield home
        finally:
            take_apart(home, pool_of(slot), url)
            record.truncate(0)


def take_apart_left_behind(url: str | None) -> None:
    """Do it for every home whose test run was killed."""
    for slot in range(SLOTS):
        with ExitStack() as stack:
            record = _try_slot(stack, slot)
            if record is not None:
                _take_apart_recorded(record, pool_of(slot), url)


def take_apart(home: Path, pool: str, url: str | None) -> None:
    """End and remove everything that belongs to that home, and nothing else."""
    end_watcher(home)
    end_haproxy(home)
    if url is not None and support.why_no_engine(url) is None:
        with support.engine(url) as api:
            support.remove_labelled(api, f"deployctl.home={home}")
            _remove_keep_tags(api, home)
    _forget_secrets(home)
    if machine.may_route():
        machine.remove_guards(machine.unreachable(inside=pool))
    shutil.rmtree(home, ignore_errors=True)


def _forget_secrets(home: Path) -> None:
    """Take its memory for secrets away, if it has any."""
    with suppress(OSError, LookupError, ValueError):
        keys = find_keys(OwnPath(home / "state/ledger.db"))
        if keys is not None and keys.id:
            place = Path("/run/deployctl", keys.id)
            ctypes.CDLL(None).umount2(os.fsencode(place), 2)  # MNT_DETACH
            place.rmdir()


def end_watcher(home: Path) -> None:
    """End the `deployctl serve` of that home, which a killed test run has left."""
    _end(home, home / "state/watcher.lock")


def end_haproxy(home: Path) -> None:
    """End the HAProxy whose pid file lies in that home, when its command line names that home."""
    _end(home, home / "state/haproxy/haproxy.pid")


def _end(home: Path, pid_file: Path) -> None:
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        for number in (signal.SIGTERM, signal.SIGKILL):
            if _is_of(home, pid):
                os.kill(pid, number)
                _wait_gone(home, pid, seconds=5)


def _is_of(home: Path, pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text()  # empty for a zombie
        return f"{home}/" in words or f"--home\0{home}\0" in words
    except OSError:
        return False


def _wait_gone(home: Path, pid: int, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while _is_of(home, pid) and time.monotonic() < until:
        time.sleep(0.02)


@contextmanager
def _free_slot(url: str | None) -> Iterator[tuple[int, IO[str]]]:
    with ExitStack() as stack:
        for slot in random.sample(range(SLOTS), SLOTS):
            record = _try_slot(stack, slot)
            if record is not None:
                _take_apart_recorded(record, pool_of(slot), url)
                if not _is_used(pool_of(slot), url):
                    break
        else:
            raise RuntimeError(f"none of the {SLOTS} network pools for test homes is free")
        yield slot, record


def _try_slot(stack: ExitStack, slot: int) -> IO[str] | None:
    try:
        return stack.enter_context(machine.locked(f"slot-{slot}", fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return None


def _take_apart_recorded(record: IO[str], pool: str, url: str | None) -> None:
    record.seek(0)
    for line in record.read().splitlines():
        take_apart(Path(line), pool, url)
    record.truncate(0)


def _is_used(pool: str, url: str | None) -> bool:
    """Tell whether a route of this host, but for the wide guards, or a Docker network lies in that pool."""
    wanted = IPv4Network(pool)
    routed = {route["dst"] for route in machine.routes()} - {"default", *machine.GUARDED}
    return any(wanted.overlaps(IPv4Network(subnet)) for subnet in routed | _docker_subnets(url))


def _docker_subnets(url: str | None) -> set[str]:
    if url is None or support.why_no_engine(url) is not None:
        return set()
    with support.engine(url) as api:
        pools = [pool for network in api.networks() for pool in network["IPAM"]["Config"] or ()]
    return {pool["Subnet"] for pool in pools if "." in pool.get("Subnet", "")}


def _write_server_file(home: Path, slot: int) -> None:
    ports = ports_of(slot)
    (home / "config").mkdir()
    (home / "state").mkdir()
    (home / "config/server.toml").write_text(
        f"""[network]
pool = "{pool_of(slot)}"
[ports]
range = "{ports[0]}-{ports[-1]}"
[proxy]
http = "127.0.0.1:{support.free_port()}"
[web]
listen = {support.free_port()}
"""
    )


def _remove_keep_tags(api: docker.APIClient, home: Path) -> None:
    for tag in support.image_tags(api):
        if tag.startswith("deployctl/") and tag.endswith(f"-{support.home_mark(home)}"):
            support.remove_image(api, tag)
