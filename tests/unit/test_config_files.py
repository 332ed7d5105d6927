"""Config files: kept byte by byte with the release that was deployed with them, and as long as it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.dataclass import replace
from deployctl.domain.images.component import release_hash
from deployctl.domain.images.mounts import ConfigFile, file_hash
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.names import AppName
from deployctl.effects.host_files import MAX_FILE_BYTES, KeptFiles
from deployctl.errors import DeployctlError, EngineRefused, Invalid, NotFound, NotPermitted
from deployctl.ports.host_files import FileFault
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.setup.doctor_containers import containers
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.readiness import find_readiness
from tests.unit.world import SHOP, V1, V2, World, world

PUMA: dict[str, Any] = {"files": {"/app/puma.rb": "shop/puma.rb"}}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        (tmp_path / "state").mkdir()
        write(made, "workers 1\n")
        made.edit(**PUMA)
        yield made


def write(w: World, text: str, name: str = "shop/puma.rb") -> Path:
    path = w.home / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def kept(w: World) -> dict[str, str]:
    """Return what is in state/files, by the beginning of its name."""
    folder = w.home / "state/files"
    return {path.name: path.read_text() for path in folder.iterdir() if len(path.name) == 64} if folder.exists() else {}


def texts(w: World) -> set[str]:
    return {*kept(w).values()}


def seen(w: World, version: str) -> str:
    """Return what the newest container of that version has at /app/puma.rb."""
    made = [c.spec for c in w.engine._containers.values() if c.spec and c.spec.labels["deployctl.version"] == version]
    (mount,) = made[-1].mounts
    assert (mount.target, mount.read_only, mount.is_path) == ("/app/puma.rb", True, True)
    return Path(mount.source).read_text()


def spec(**keys: Any) -> tuple[ConfigFile, ...]:
    table = {"image": "acme/shop", "port": 80, "listen": 80, **keys}
    return parse_app_spec(table, where="config/shop.toml").templates()[0].bundle.files


# -- what a file may say ------------------------------------------------------------------------------------------------
def test_a_config_file_is_a_name_or_a_table() -> None:
    told = spec(files={"/a": "shop/a", "/b": {"source": "b.conf", "mode": "0640", "user": "1000:1001"}})
    assert told == (ConfigFile("/a", "shop/a"), ConfigFile("/b", "b.conf", 0o640, "1000:1001"))
    assert [one.owner for one in (told[1], ConfigFile("/c", "c", user="7"))] == [(1000, 1001), (7, 7)]


@pytest.mark.parametrize("value", [
    "/etc/passwd", "../secret", "a/../b", "server.toml", "blog.toml", "", "a b", "a//b", 5, None, ["a"], {},
    {"source": "a", "x": 1}, {"source": "a", "mode": "4755"}, {"source": "a", "mode": 444}, {"source": "a", "mode": "0999"},
    {"source": "a", "user": "root"}, {"source": "a", "user": "-1"}, {"mode": "0444"}])
def test_what_is_no_config_file_is_refused(value: object) -> None:
    with pytest.raises(Invalid, match="files"):
        spec(files={"/app/a": value})


@pytest.mark.parametrize("target", ["app", "/", "/proc/x", "/a/../b"])
def test_what_is_no_place_for_it_is_refused(target: str) -> None:
    with pytest.raises(Invalid, match="files"):
        spec(files={target: "a"})


def test_nothing_is_mounted_twice_at_one_place() -> None:
    with pytest.raises(Invalid, match="where mounts has something else"):
        spec(files={"/data": "a"}, mounts=["data:/data:ro"])


def test_components_of_the_same_image_have_the_files_and_may_have_more() -> None:
    table = {"image": "acme/shop", "port": 80, "listen": 80, "files": {"/a": "a"}, "components": {
        "api": {"port": 81, "files": {"/a": "other", "/b": "b"}}, "db": {"port": 82, "image": "x/y"}}}
    told = parse_app_spec(table, where="config/shop.toml").templates()
    assert [[(file.target, file.source) for file in one.bundle.files] for one in told] == [
        [("/a", "a")], [("/a", "other"), ("/b", "b")], []]


# -- part of the release --------------------------------------------------------------------------------------------------
def test_bytes_mode_and_owner_are_part_of_the_release_and_the_name_is_not(w: World) -> None:
    w.upgraded("v1")
    release = w.release("v1")
    (file,) = release.bundle.files
    assert file.sha256 == file_hash(file, b"workers 1\n")
    assert len({file_hash(replace(file, **more), b"x") for more in ({}, {"mode": 0o400}, {"user": "1"})}) == 3
    (component,) = release.components

    def hash_with(**more: Any) -> str:
        return release_hash([replace(component, bundle=replace(component.bundle, files=(replace(file, **more),)))])

    assert hash_with(source="elsewhere") == release.bundle_hash
    assert hash_with(sha256="0" * 64) != release.bundle_hash
    assert not w.upgrade("v1").changed
    write(w, "workers 2\n")
    assert w.upgrade("v1").target_release == 2


def test_a_rollback_has_the_very_former_bytes_whatever_became_of_the_source(w: World) -> None:
    w.upgraded("v1")
    write(w, "workers 2\n")
    w.upgraded("v2")
    (w.home / "config/shop/puma.rb").unlink()
    assert (seen(w, "v1"), seen(w, "v2")) == ("workers 1\n", "workers 2\n")
    for one in w.engine.containers():
        w.engine.lose(one.id)
    w.rollback("v1")
    assert (w.serving, seen(w, "v1")) == ("v1", "workers 1\n")


def test_the_copy_is_read_only_and_no_other_name_of_the_source(w: World) -> None:
    source = write(w, "workers 1\n")
    w.upgraded("v1")
    source.write_text("edited in place")
    assert texts(w) == {"workers 1\n"}
    (path,) = [one for one in (w.home / "state/files").iterdir() if len(one.name) == 64]
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_dry_run_tells_what_would_change_and_keeps_nothing(w: World) -> None:
    preview_upgrade(SHOP, V1, w.s)
    assert kept(w) == {}
    w.upgraded("v1")
    write(w, "workers 2\n")
    (line,) = preview_upgrade(SHOP, V1, w.s).changes
    assert (line.group, line.sign, line.name) == ("files", "~", "/app/puma.rb")
    w.upgraded("v2")
    assert [one.group for one in diff(SHOP, V1, V2, w.s).lines if one.group != "image"] == ["files"]


# -- what goes wrong --------------------------------------------------------------------------------------------------------
def refused(w: World, kind: type[DeployctlError], code: str | None = None) -> str:
    before = w.everything()
    with pytest.raises(kind) as refusal:
        w.upgrade("v2")
    assert code in {None, refusal.value.code}
    assert w.everything() == before
    return refusal.value.message


def test_a_source_that_cannot_be_had_changes_nothing(w: World) -> None:
    w.upgraded("v1")
    source = w.home / "config/shop/puma.rb"
    source.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    assert "larger than 1 MiB" in refused(w, Invalid, "config_file_too_large")
    source.unlink()
    refused(w, NotFound, "config_file_missing")
    source.symlink_to("/etc/hostname")
    refused(w, Invalid, "config_file_elsewhere")
    source.unlink()
    source.mkdir()
    assert "is not a file" in refused(w, Invalid)
    source.rmdir()
    os.mkfifo(source)
    refused(w, Invalid)
    source.unlink()
    source.symlink_to("other.rb")
    write(w, "workers 9\n", "shop/other.rb")
    assert w.upgrade("v2").changed


def test_an_engine_elsewhere_cannot_have_files_of_this_server(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, local=False)
    refused(w, Invalid, "engine_elsewhere")


@pytest.mark.parametrize("more", [{"security": ("seccomp", "userns")}, {"rootless": True}])
def test_where_containers_are_other_users_of_the_server_all_have_to_read_a_file(w: World, more: dict[str, Any]) -> None:
    w.upgraded("v1")
    w.engine.engine_info = replace(w.engine.engine_info, **more)
    w.edit(files={"/app/puma.rb": {"source": "shop/puma.rb", "mode": "0400"}})
    refused(w, NotPermitted, "config_file_closed")
    w.edit(**PUMA)
    assert w.upgrade("v2").changed


def spoilt(w: World, version: str) -> Release:
    for one in w.engine.containers():
        if one.labels["deployctl.version"] == version:
            w.engine.ensure_stopped(one.id, grace=1)
    return w.release(version)


@pytest.mark.parametrize("fault", FileFault)
def test_a_copy_that_is_not_what_it_was_is_told_and_never_started_with(w: World, fault: FileFault) -> None:
    code = f"config_file_{fault}"
    w.upgraded("v1")
    write(w, "workers 2\n")
    w.upgraded("v2")
    (file,) = spoilt(w, "v1").bundle.files
    path = w.home / "state/files" / file.sha256
    path.unlink()
    if fault is FileFault.CHANGED:
        path.write_text("workers 1\n")  # the same bytes, with another mode
    assert w.s.files().find_fault(file) is fault
    (ready,) = find_readiness(SHOP, w.s)
    assert (ready.ready, ready.code) == (False, code)
    assert [one.code for one in containers(w.s) if one.name == "config files"] == [code]
    with pytest.raises(NotFound) as refusal:
        w.rollback("v1")
    assert (refusal.value.code, w.serving) == (code, "v2")
    write(w, "workers 1\n")
    assert w.upgrade("v1").target_release == 1, "the file is as it was: it is the same release"
    assert w.s.files().find_fault(file) is None


# -- as long as it is needed ---------------------------------------------------------------------------------------------------
def test_it_goes_with_the_last_kept_release_that_has_it(w: World) -> None:
    w.edit(keep_warm=0, keep_stopped=0)
    for number in range(1, 5):
        write(w, f"workers {number}\n")
        w.upgraded(f"v{number}")
    assert texts(w) == {"workers 3\n", "workers 4\n"}, "the live one and the one to go back to"
    w.use(prune)
    w.use(remove_app)
    assert kept(w) == {}


def test_a_release_that_failed_leaves_no_file_once_it_is_pruned(w: World) -> None:
    w.upgraded("v1")
    write(w, "workers 2\n")
    w.engine.fail_next("create", EngineRefused("no"))
    with pytest.raises(EngineRefused):
        w.upgrade("v2")
    assert texts(w) == {"workers 1\n", "workers 2\n"}
    write(w, "workers 3\n")
    w.upgraded("v2")
    assert texts(w) == {"workers 1\n", "workers 3\n"}


def test_two_apps_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    files = KeptFiles(tmp_path / "config", tmp_path / "files")
    mine = replace(one := ConfigFile("/a", "a"), sha256=file_hash(one, b"mine"))
    blog = AppName("blog")
    files.keep(SHOP, {mine: b"mine"})
    files.tidy(blog, set)
    assert files.find_fault(mine) is None, "an upgrade of the shop is about to use it"
    files.tidy(SHOP, lambda: {mine.sha256})
    files.tidy(blog, lambda: {mine.sha256})
    assert files.find_fault(mine) is None
    files.tidy(SHOP, set)
    assert files.find_fault(mine) is FileFault.MISSING
