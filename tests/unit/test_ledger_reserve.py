"""On a full disk the reserve is released: reading, stopping and rolling back need little space, and that little is
there."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployctl.domain.change.deployment import EndReason, Phase
from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.domain.images.component import Component
from deployctl.domain.images.release import App, Bundle
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import DeployctlError
from deployctl.ledger.file import reserve
from deployctl.ledger.file.reserve import LITTLE, SIZE, ensure_reserve, free_reserve
from deployctl.ledger.sqlite_ledger import SqliteLedger

NOW = "2026-01-01T00:00:00.000Z"
SHOP = AppName("shop")
Fill = Callable[[int], None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Let the disk have so many bytes left."""
    def fill(free: int) -> None:
        found = SimpleNamespace(f_bavail=free // 1024, f_bfree=free // 1024, f_blocks=0, f_frsize=1024)
        monkeypatch.setattr(os, "statvfs", lambda _path: found)

    fill(2**30)
    return fill


@pytest.fixture
def path(tmp_path: Path, disk: Fill) -> Path:
    with closing(opened(tmp_path / "ledger.db")) as ledger:
        ledger.add_app(App(SHOP, "172.30.0.0/26", "172.30.0.1", "n", "b"), at=NOW)
        ledger.ensure_release(SHOP, Version("v1"), (Component(Bundle("a", f"sha256:{1:064x}", 80)),), at=NOW)
    return tmp_path / "ledger.db"


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def kept(path: Path) -> bool:
    return path.with_name("ledger.reserve").exists()


def test_the_reserve_comes_with_room_and_goes_without(path: Path, disk: Fill) -> None:
    assert path.with_name("ledger.reserve").stat().st_size == SIZE
    assert path.with_name("ledger.reserve").stat().st_blocks * 512 >= SIZE, "a file of holes keeps no room"
    for free, full, there in ((LITTLE - 1024, True, False), (SIZE, True, False), (SIZE + 2 * LITTLE, False, True)):
        disk(free)
        assert (ensure_reserve(path), kept(path)) == (full, there), free


def test_with_the_reserve_given_away_nothing_big_begins_and_going_back_does(path: Path, disk: Fill) -> None:
    disk(0)
    with closing(opened(path)) as ledger:
        for begin in (
            lambda: ledger.open_deployment(plan(PlanKind.UPGRADE), actor="m", note="", at=NOW, token=1),
            lambda: ledger.open_deployment(plan(PlanKind.START), actor="m", note="", at=NOW, token=1),
            lambda: ledger.ensure_release(SHOP, Version("v2"), (Component(Bundle("a", f"sha256:{2:064x}", 80)),), at=NOW),
            lambda: ledger.add_app(App(AppName("blog"), "172.30.1.0/26", "172.30.1.1", "n2", "b2"), at=NOW),
        ):
            with pytest.raises(DeployctlError, match="no space left") as told:
                begin()
            assert (told.value.code, told.value.exit_code) == ("disk_full", 1)
        assert (ledger.deployments(SHOP), len(ledger.releases(SHOP)), len(ledger.apps())) == ([], 1, 1)
        assert ledger.open_deployment(plan(PlanKind.ROLLBACK), actor="m", note="", at=NOW, token=1).kind == "rollback"


def plan(kind: PlanKind) -> Plan:
    return Plan(SHOP, kind, None, 1, (), "shop: v1")


def test_a_disk_that_fills_while_the_ledger_is_open_gives_the_reserve_for_the_end_of_a_deployment(
    path: Path, disk: Fill
) -> None:
    with closing(opened(path)) as ledger:
        deployment = ledger.open_deployment(plan(PlanKind.UPGRADE), actor="m", note="", at=NOW, token=1).id
        disk(0)
        ledger.event("test", "a plain write leaves it", at=NOW, actor="m")
        assert kept(path)
        with ledger.transaction():
            ledger.close_deployment(deployment, Phase.REVERTED, at=NOW, error=EndReason("failed", "disk full"))
        assert not kept(path)


def test_a_system_that_cannot_keep_room_is_no_reason_to_stop(
    tmp_path: Path, disk: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert ensure_reserve(tmp_path / "ledger.db") is False
    assert list(tmp_path.iterdir()) == []
    assert not free_reserve(tmp_path / "ledger.db")


def test_what_a_file_system_keeps_for_itself_counts_as_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ext4 reports 2 % as free that not even root gets."""
    found = SimpleNamespace(f_bavail=0, f_bfree=400, f_blocks=20_000, f_frsize=1024)
    monkeypatch.setattr(os, "statvfs", lambda _path: found)
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert reserve.disk_is_full(tmp_path)
