"""What every host promises that keeps exclusive components apart; which container holds a lock is in test_engine.py."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.host.networks import AppNetwork
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.effects.linux.exclusion import LinuxExclusion
from deployctl.errors import LauncherRefused
from deployctl.ports import EngineInfo, Exclusion
from deployctl.ports.exclusion import StandInLack
from deployctl.testing.fake_engine import FakeEngine
from deployctl.testing.fake_exclusion import FakeExclusion

SHOP, DB = AppName("shop"), ComponentName("db")
HERE = EngineInfo("20.10.24", "1.41", "amd64", rootless=False, local=True)
NETWORK = AppNetwork("deployctl-shop", "dc-nowhere", "172.29.255.192/26", "172.29.255.193")


@pytest.fixture(params=["fake", "linux"])
def exclusion(request: pytest.FixtureRequest, tmp_path: Path) -> Exclusion:
    return FakeExclusion(FakeEngine()) if request.param == "fake" else LinuxExclusion(tmp_path)


def test_the_launcher_is_one_file_for_each_architecture(exclusion: Exclusion) -> None:
    assert exclusion.lay_launcher("amd64", HERE) == exclusion.lay_launcher("amd64", HERE)
    assert exclusion.lay_launcher("amd64", HERE) != exclusion.lay_launcher("arm64", HERE)


@pytest.mark.parametrize(("architecture", "engine"), [("riscv64", HERE), ("", HERE), ("amd64", replace(HERE, local=False))])
def test_where_the_launcher_cannot_start_a_container_it_is_refused(exclusion: Exclusion, architecture: str,
                                                                   engine: EngineInfo) -> None:
    with pytest.raises(LauncherRefused) as told:
        exclusion.lay_launcher(architecture, engine)
    assert told.value.code == "launcher_refused"


def test_a_component_has_one_lock_and_nobody_holds_it_at_first(exclusion: Exclusion) -> None:
    lock = exclusion.lay_lock(SHOP, DB)
    assert exclusion.lay_lock(SHOP, DB) == lock
    assert exclusion.lay_lock(SHOP, ComponentName("queue")) != lock
    assert exclusion.holders(lock) == ()
    assert not exclusion.holds(lock, os.getpid())
    assert not exclusion.holds(lock, 0)


def test_the_locks_of_an_app_can_be_forgotten(exclusion: Exclusion) -> None:
    lock = exclusion.lay_lock(SHOP, DB)
    for _ in range(2):
        exclusion.forget_locks(SHOP)
    assert exclusion.holders(lock) == ()


def test_there_is_no_stand_in_where_the_networks_are_elsewhere(exclusion: Exclusion) -> None:
    assert exclusion.stand_in_lack(bridged=False) is StandInLack.NOT_LOCAL


def test_what_cannot_stand_in_does_not_keep_anything_from_happening(exclusion: Exclusion) -> None:
    if isinstance(exclusion, FakeExclusion):
        exclusion.lack = StandInLack.NOT_PERMITTED
    with exclusion.stand_in(NETWORK, "172.29.255.200", "0a:dc:ac:1d:ff:c8", after=0) as made:
        pass
    assert not made.refused


def test_it_tells_when_the_former_process_ended(exclusion: Exclusion) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    with exclusion.stand_in(NETWORK, "172.29.255.200", "0a:dc:ac:1d:ff:c8", after=pid) as made:
        pass
    assert made.ended is not None
