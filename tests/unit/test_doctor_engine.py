"""What doctor says of the engine: where images really lie, and whether they can be had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.errors import EngineUnavailable
from deployctl.ports import EngineInfo, Lack
from deployctl.usecases.listings import Finding
from deployctl.usecases.setup import doctor_engine
from deployctl.usecases.setup.doctor_engine import containerd_root, engine, image_folders
from tests.unit.world import World, world

CONTAINERDS = EngineInfo("29.7.2", "1.55", "amd64", rootless=False, local=True, root_dir="/var/lib/docker",
                         store="containerd overlayfs", containerd="/run/containerd/containerd.sock")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def found(w: World, name: str) -> list[Finding]:
    return [finding for finding in engine(w.s) if finding.name == name]


def test_podman_is_called_podman(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, product="Podman", version="5.4.2", lacks=(Lack.HEALTHCHECKS,))
    told = found(w, "engine")
    assert told[0].message.startswith("Podman 5.4.2")
    assert [(one.ok, one.code) for one in told] == [(True, None), (True, "healthchecks")]


def test_an_engine_that_nothing_can_be_deployed_with_is_a_fault(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, product="Podman", version="4.3.1", lacks=(Lack.UPDATE,))
    assert [(one.ok, one.code) for one in found(w, "engine")] == [(True, None), (False, "container_update")]


def test_a_host_that_forwards_nothing_is_told_with_its_remedy(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, forwarding=False)
    [told] = found(w, "forwarding")
    assert (told.ok, told.code, told.fix) == (False, "forwarding_off", "sudo sysctl net.ipv4.ip_forward=1")


def test_an_image_store_that_does_not_answer_is_a_fault_although_the_engine_answers(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> None:
        raise EngineUnavailable("containerd hangs", remedy=["sudo systemctl restart containerd"], code="image_store_silent")

    monkeypatch.setattr(w.engine, "require_store", silent)
    [told] = found(w, "image store")
    assert (told.ok, told.code, told.fix) == (False, "image_store_silent", "sudo systemctl restart containerd")
    monkeypatch.undo()
    assert [one.ok for one in found(w, "image store")] == [True]


def test_with_containerd_as_a_service_its_folder_is_looked_at_too() -> None:
    assert image_folders(CONTAINERDS) == [Path("/var/lib/containerd"), Path("/var/lib/docker")]
    started_by_docker = replace(CONTAINERDS, containerd="/var/run/docker/containerd/containerd.sock")
    assert image_folders(started_by_docker) == [Path("/var/lib/docker")]


def test_the_folder_is_the_one_that_containerds_own_file_names(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('version = 3\nroot = "/srv/containerd"\n')
    assert containerd_root(file) == Path("/srv/containerd")
    for text in ("version = 3\n", "no = = toml"):
        file.write_text(text)
        assert containerd_root(file) == Path("/var/lib/containerd")
    assert containerd_root(tmp_path / "absent") == Path("/var/lib/containerd")


def test_too_little_room_is_told_with_its_folder(w: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor_engine, "image_folders", lambda info: [tmp_path, Path("/nonexistent")])
    monkeypatch.setattr(doctor_engine, "LITTLE_SPACE", 2**80)
    [told] = found(w, "image space")
    assert not told.ok
    assert str(tmp_path) in told.message
