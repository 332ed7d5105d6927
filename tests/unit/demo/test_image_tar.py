"""Images are data: equal input gives equal bytes, and what the engine reads is what was asked for."""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256
from typing import Any

from deployctl.demo.image_tar import Content, Healthcheck, Layer, TarImage, TarLink, file_layer, image_tar

FILES: dict[str, Content] = {"/app/b.py": b"b", "/app/deep/a.py": (b"a", 0o755), "/usr/bin/run": TarLink("/app/deep/a.py")}


def members(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {member.name: member for member in opened.getmembers()}


def content(tar: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        file = opened.extractfile(name)
        assert file is not None
        return file.read()


def config_of(image: TarImage) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(image.config)
    return parsed


def test_the_order_in_which_files_are_given_changes_nothing() -> None:
    turned = dict(reversed(FILES.items()))
    assert file_layer(turned).diff_id == file_layer(FILES).diff_id


def test_a_layer_knows_no_time_and_no_owner_of_this_host() -> None:
    for member in members(file_layer(FILES).tar).values():
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_every_folder_above_a_file_can_be_entered_by_anybody() -> None:
    found = members(file_layer(FILES, folders={"/tmp": 0o1777}).tar)
    folders = {name: member.mode for name, member in found.items() if member.isdir()}
    assert folders == {"app": 0o755, "app/deep": 0o755, "usr": 0o755, "usr/bin": 0o755, "tmp": 0o1777}


def test_files_keep_their_mode_and_links_their_goal() -> None:
    found = members(file_layer(FILES).tar)
    assert (found["app/b.py"].mode, found["app/deep/a.py"].mode) == (0o644, 0o755)
    assert (found["usr/bin/run"].issym(), found["usr/bin/run"].linkname) == (True, "/app/deep/a.py")


def test_a_change_of_one_byte_gives_another_image() -> None:
    one = TarImage((file_layer({"/a": b"1"}),), ("x:1",), env={"A": "1"})
    assert one.id == TarImage((file_layer({"/a": b"1"}),), ("other:tag",), env={"A": "1"}).id
    assert one.id != TarImage((file_layer({"/a": b"2"}),), ("x:1",), env={"A": "1"}).id
    assert one.id != TarImage((file_layer({"/a": b"1"}),), ("x:1",), env={"A": "2"}).id


def test_the_config_says_what_a_dockerfile_would_say() -> None:
    image = TarImage(
        (file_layer(FILES),), ("x:1",), entrypoint=("/a",), command=("b", "c"), env={"Z": "1", "A": "two words"},
        ports=(80, 8080), labels={"k": "v"}, healthcheck=Healthcheck(("/h",), interval=0.5), stop_signal="SIGQUIT",
        user="10001", volumes=("/data",), working_dir="/app", architecture="arm64",
    )  # fmt: skip
    config = config_of(image)
    assert config["architecture"] == "arm64"
    assert config["rootfs"]["diff_ids"] == [image.layers[0].diff_id]
    assert config["config"] == {
        "Entrypoint": ["/a"], "Cmd": ["b", "c"], "Env": ["A=two words", "Z=1"],
        "ExposedPorts": {"80/tcp": {}, "8080/tcp": {}}, "Labels": {"k": "v"}, "StopSignal": "SIGQUIT",
        "User": "10001", "Volumes": {"/data": {}}, "WorkingDir": "/app",
        "Healthcheck": {"Test": ["CMD", "/h"], "Interval": 500_000_000, "Timeout": 2_000_000_000, "Retries": 2},
    }  # fmt: skip


def test_what_was_not_asked_for_is_not_in_the_config() -> None:
    assert config_of(TarImage((file_layer(FILES),), ("x:1",)))["config"] == {}


def test_a_layer_that_two_images_share_is_in_the_tar_once() -> None:
    base = file_layer(FILES)
    images = [TarImage((base, file_layer({"/v": v})), (f"x:{v.decode()}",)) for v in (b"1", b"2")]
    tar = image_tar(images)
    layers = [name for name in members(tar) if name.endswith("/layer.tar")]
    assert len(layers) == 3
    for entry, image in zip(json.loads(content(tar, "manifest.json")), images, strict=True):
        assert entry["RepoTags"] == list(image.tags)
        assert sha256(content(tar, entry["Config"])).hexdigest() == image.id.removeprefix("sha256:")
        kept = [Layer(content(tar, path)).diff_id for path in entry["Layers"]]
        assert kept == config_of(image)["rootfs"]["diff_ids"]


def test_without_layers_only_they_are_missing() -> None:
    image = TarImage((file_layer(FILES),), ("x:1",))
    whole, slim = image_tar([image]), image_tar([image], with_layers=False)
    assert content(whole, "manifest.json") == content(slim, "manifest.json")
    assert not [name for name in members(slim) if name.endswith("layer.tar")]
