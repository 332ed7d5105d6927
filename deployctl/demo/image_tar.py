"""Container images as `docker save` writes them, assembled in memory.

Same input, same bytes, same image id: times are zero, order is sorted, owners are root. Nothing here queries the
engine, runs a builder or reads the clock.
"""

from __future__ import annotations

import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import PurePosixPath

from deployctl.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}


@dataclass(frozen=True, slots=True)
class TarLink:
    """A symbolic link in a layer."""

    to: str


Content = bytes | tuple[bytes, int] | TarLink  # a tuple carries the file's mode; without one it is 0644


@dataclass(frozen=True)
class Layer:
    """One uncompressed layer. The engine stores two layers with equal diff ids once."""

    tar: bytes = field(repr=False)

    @cached_property
    def diff_id(self) -> str:
        return f"sha256:{sha256(self.tar).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A HEALTHCHECK. Times are seconds."""

    command: tuple[str, ...]
    interval: float = 1.0
    timeout: float = 2.0
    retries: int = 2

    def as_config(self) -> dict[str, Any]:
        return {
            "Test": ["CMD", *self.command],
            "Interval": int(self.interval * 1e9),
            "Timeout": int(self.timeout * 1e9),
            "Retries": self.retries,
        }


def host_architecture() -> str:
    """Return this machine's architecture as images name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


_RUNTIME = ("Entrypoint", "Cmd", "Env", "ExposedPorts", "Labels", "Healthcheck", "StopSignal", "User", "Volumes", "WorkingDir")


@dataclass(frozen=True)
class TarImage:
    """An image to build: its layers from the lowest to the uppermost, and the rest of its Dockerfile."""

    layers: tuple[Layer, ...]
    tags: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    stop_signal: str | None = None
    user: str = ""
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    architecture: str = field(default_factory=host_architecture)

    @cached_property
    def config(self) -> bytes:
        """Return the config JSON that the engine stores; its hash is the image id."""
        document = {
            "architecture": self.architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": self._runtime(),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers]},
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @property
    def id(self) -> str:
        return f"sha256:{sha256(self.config).hexdigest()}"

    def is_told_by(self, inspected: Mapping[str, Any]) -> bool:
        """Return whether that is exactly this image. Its id proves it only for Docker's own image store: containerd's
        has others."""
        has, layers = inspected.get("Config") or {}, [layer.diff_id for layer in self.layers]
        return (inspected["Architecture"], inspected["RootFS"]["Layers"]) == (self.architecture, layers) and all(
            (has.get(key) or None) == (self._runtime().get(key) or None) for key in _RUNTIME)

    def _runtime(self) -> dict[str, Any]:
        wishes: dict[str, Any] = {  # the keys of _RUNTIME
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in sorted(self.env.items())],
            "ExposedPorts": {f"{port}/tcp": {} for port in self.ports},
            "Labels": dict(self.labels),
            "Healthcheck": self.healthcheck and self.healthcheck.as_config(),
            "StopSignal": self.stop_signal,
            "User": self.user,
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.working_dir,
        }
        return {key: value for key, value in wishes.items() if value}


def file_layer(files: Mapping[str, Content], *, folders: Mapping[str, int] | None = None) -> Layer:
    """Return a layer of these files by absolute path; `folders` are created too, with the given mode."""
    modes = {folder: 0o755 for path in files for folder in _parents(path)} | dict(folders or {})
    entries = [_folder_entry(path, mode) for path, mode in modes.items()]
    entries += [_entry(path, content) for path, content in files.items()]
    return Layer(_tar(entries))


def image_tar(images: Iterable[TarImage], *, with_layers: bool = True) -> bytes:
    """Return the tar that `docker load` reads; each layer is in it once, however many images share it.

    Without layers it is a few kilobytes, and enough for an engine that has the layers already.
    """
    images = list(images)
    files: dict[str, Content] = {f"/{_name(image.id)}.json": image.config for image in images}
    if with_layers:
        files |= {f"/{_layer_path(layer)}": layer.tar for image in images for layer in image.layers}
    files["/manifest.json"] = json.dumps([_manifest(image) for image in images]).encode()
    return file_layer(files).tar


def _manifest(image: TarImage) -> dict[str, Any]:
    return {
        "Config": f"{_name(image.id)}.json",
        "RepoTags": list(image.tags),
        "Layers": [_layer_path(layer) for layer in image.layers],
    }


def _layer_path(layer: Layer) -> str:
    return f"{_name(layer.diff_id)}/layer.tar"


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _parents(path: str) -> list[str]:
    # without an entry of its own only root could read a parent folder
    return [str(folder) for folder in PurePosixPath(path).parents if folder.name]


def _tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in sorted(entries, key=lambda entry: entry[0].name):
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _folder_entry(path: str, mode: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path.strip("/"))
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def _entry(path: str, content: Content) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path.strip("/"))
    if isinstance(content, TarLink):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, content.to, 0o777
        return info, b""
    data, info.mode = content if isinstance(content, tuple) else (content, 0o644)
    info.size = len(data)
    return info, data
