"""The disk with the state is full: live versions keep running, status and rollback still work, nothing else begins."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.cli import Cli, home_of_a_person

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which takes root")
MEGABYTES = 24


@contextmanager
def small_disk(mount_point: Path, image: Path) -> Iterator[None]:
    """Mount a file system of that size there; whatever happens, it is gone afterwards."""
    with image.open("wb") as file:
        file.truncate(MEGABYTES * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    mount_point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, mount_point], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", mount_point], check=True)  # the loop device goes with its last user


@pytest.fixture
def town(engine_url: str, images: None, tmp_path: Path) -> Iterator[Cli]:
    """shop: v2 serves and v1 is warm; state/ lies on a disk of its own."""
    with home_of_a_person(engine_url) as found, small_disk(found.home / "state", tmp_path / "disk"):
        try:
            found.serving("shop")
            found.do("upgrade", "shop", "v2")
            yield found
        finally:
            for path in (found.home / "state").glob("filler*"):
                path.unlink()


def fill(folder: Path) -> None:
    for size in (2**16, 2**10):
        with (folder / f"filler{size}").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * size)


def test_on_a_full_disk_nothing_begins_but_a_look_and_the_way_back_work(town: Cli) -> None:
    state = town.home / "state"
    before, rows = town.objects(), town.ledger()
    with town.visitors("shop") as visitors:
        fill(state)
        for _ in range(2):
            assert town.app("shop")["active"]["version"] == "v2"
            ran = town.refused(1, "upgrade", "shop", "v3")
            assert ran.told["error"]["code"] == "disk_full"
            assert any(line.startswith("df ") for line in ran.told["error"]["remedy"])
            assert town.objects() == before
        assert {name: table for name, table in town.ledger().items() if name != "deployments"} == {
            name: table for name, table in rows.items() if name != "deployments"}
        assert town.do("rollback", "shop")["to"] == town.get("shop").version == "v1"
        assert town.do("undo", "shop")["to"] == town.get("shop").version == "v2"
        assert town.do("ledger", "verify")["events"] >= 4
        for path in state.glob("filler*"):
            path.unlink()
        assert town.do("upgrade", "shop", "v3")["to"] == town.get("shop").version == "v3"
        assert (state / "ledger.reserve").stat().st_size == 2**20
    assert visitors.count.lost == 0


def test_a_disk_that_fills_during_an_upgrade_ends_it_and_its_end_is_written_down(town: Cli) -> None:
    town.write("shop", health={"path": "/nothing-there", "deadline": "8s"}, stop_grace="1s")
    with town.visitors("shop") as visitors:
        upgrade = town.begin("upgrade", "shop", "v3")
        while not any("--r3--" in found["Names"][0] and found["State"] == "running" for found in town.containers("shop")):
            assert upgrade.poll() is None
        fill(town.home / "state")
        ran = town.ended(upgrade)
        assert ran.code != 0
        assert town.app("shop")["deployment"] is None, f"the upgrade was left open: {ran}"
        assert town.active("shop") == "v2"
        assert town.do("rollback", "shop")["to"] == town.get("shop").version == "v1"
    assert visitors.count.lost == 0
