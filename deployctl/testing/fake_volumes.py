"""Volumes of a fake engine. `volumes_here` may be filled with foreign ones."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.host.home import HomeIdentity
from deployctl.errors import EngineRefused, NotFound, NotPermitted
from deployctl.ports import ContainerSpec, VolumeFacts, VolumeSpec
from deployctl.testing.fake_images import FakeImages

SIZE_OF_FILES = 4096  # bytes that an image's files take in a volume


@dataclass
class FakeVolume:
    facts: VolumeFacts
    filled_from: str | None = None  # the image whose files it has; None: it is empty
    size: int = 0


class FakeVolumes:
    def __init__(self) -> None:
        self.here: dict[str, FakeVolume] = {}

    def ensure(self, spec: VolumeSpec, *, home: HomeIdentity) -> None:
        there = self.here.get(spec.name)
        if there is None:
            labels = {**spec.labels, "deployctl.managed": "1", **home.labels}
            self.here[spec.name] = FakeVolume(VolumeFacts(spec.name, labels))
        elif not home.owns(there.facts.labels):
            raise EngineRefused(f"a volume {spec.name} already exists and is not ours")

    def fill(self, name: str, image: str, *, images: FakeImages, used: bool) -> None:
        if images.find(image) is None:
            raise NotFound(f"fill volume {name}: no such image: {image}")
        if not used and self.here[name].filled_from is None:
            self.here[name].filled_from, self.here[name].size = image, SIZE_OF_FILES

    def ensure_gone(self, name: str, *, home: HomeIdentity, used: bool) -> None:
        there = self.here.get(name)
        if there is None:
            return
        if not home.owns(there.facts.labels):
            raise NotPermitted(f"volume {name} is not ours")
        if used:
            raise EngineRefused(f"remove volume {name}: a container has it")
        del self.here[name]

    def mount(self, spec: ContainerSpec) -> None:
        """Create and fill what a container is created with, as the engine does."""
        for mount in spec.mounts:
            if not mount.is_path:
                there = self.here.setdefault(mount.source, FakeVolume(VolumeFacts(mount.source, {})))
                if there.filled_from is None and not mount.no_copy:
                    there.filled_from = spec.bundle.digest


class FakeVolumeVerbs:
    """The part of a fake engine that is about volumes, and about the files of containers."""

    home: HomeIdentity
    images: FakeImages
    volumes_here: FakeVolumes
    files: dict[str, bytes]  # of every container, by path

    def _require_ours(self, container: str) -> object:
        raise NotImplementedError

    def read_file(self, container: str, path: str) -> bytes | None:
        self._require_here()
        self._require_ours(container)
        return self.files.get(path)

    def _begin(self, verb: str, what: str) -> None:
        raise NotImplementedError

    def _finish(self, verb: str) -> None:
        raise NotImplementedError

    def _require_here(self) -> None:
        raise NotImplementedError

    def volumes(self) -> list[VolumeFacts]:
        self._require_here()
        return [one.facts for one in self.volumes_here.here.values()]

    def volume_sizes(self) -> Mapping[str, int]:
        self._require_here()
        return {name: one.size for name, one in self.volumes_here.here.items()}

    def ensure_volume(self, spec: VolumeSpec) -> None:
        self._begin("volume", spec.name)
        self.volumes_here.ensure(spec, home=self.home)
        self._finish("volume")

    def fill_volume(self, name: str, image: str, target: str) -> None:
        self._begin("fill", name)
        self.volumes_here.fill(name, image, images=self.images, used=self._has_volume(name))
        self._finish("fill")

    def ensure_volume_gone(self, name: str) -> None:
        self._begin("volume_gone", name)
        self.volumes_here.ensure_gone(name, home=self.home, used=self._has_volume(name))
        self._finish("volume_gone")

    def _has_volume(self, name: str) -> bool:
        raise NotImplementedError
