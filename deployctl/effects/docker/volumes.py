"""Volumes of an engine: read as facts, created, filled from an image and removed if they are this home's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from deployctl.effects.docker.names import require_container, require_digest
from deployctl.effects.docker.networks import require_ours
from deployctl.effects.docker.reader import quoted, with_query
from deployctl.errors import EngineRefused, NotFound
from deployctl.ports import VolumeFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.effects.docker.client import DockerClient
    from deployctl.ports import VolumeSpec

COUNTING_SECONDS = 30.0  # that counting their files may take
FILLS = "deployctl.fills"  # of a container that never runs: the engine fills a volume when one with it is created


class DockerVolumes:
    """All volumes of one engine; only this home's are changed."""

    def __init__(self, client: DockerClient, home: HomeIdentity) -> None:
        self._docker, self._home = client, home

    def all(self) -> list[VolumeFacts]:
        listed = self._docker.reader.get("/volumes", timeout=self._docker.timeout)
        return [volume_facts(raw) for raw in listed.get("Volumes") or ()]

    def sizes(self) -> Mapping[str, int]:
        """Engines before API 1.42 count images and containers along with them. Those of other drivers have no size."""
        used = self._docker.reader.get(with_query("/system/df", {"type": "volume"}), timeout=COUNTING_SECONDS)
        sizes = ((one["Name"], (one.get("UsageData") or {}).get("Size", -1)) for one in used.get("Volumes") or ())
        return {str(name): int(size) for name, size in sizes if size >= 0}

    def ensure(self, spec: VolumeSpec, labels: Mapping[str, str]) -> None:
        def create(api: APIClient) -> None:
            there = self._find(spec.name)
            if there is None:
                api.create_volume(require_container(spec.name), driver=spec.driver or None, labels=dict(labels))
                there = self._find(spec.name)  # one that others created at the same moment is not ours
            if there is not None and not self._home.owns(there.labels):
                raise EngineRefused(f"a volume {spec.name} already exists and is not ours",
                                    remedy=[f"docker volume inspect {spec.name}"])

        self._docker.change(f"create volume {spec.name}", create)

    def fill(self, name: str, image: str, target: str) -> None:
        """Create a container with it that never runs, and remove that: the engine copies when it creates one."""
        def fill(api: APIClient) -> None:
            self._drop_filler(api, name)
            if self._is_mounted(name):
                return
            mount = {"Type": "volume", "Source": require_container(name), "Target": target}
            request = {"Image": require_digest(image), "Cmd": ["-"], "Labels": {FILLS: name, **self._home.labels},
                       "NetworkDisabled": True, "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}}
            create_from: Any = api.create_container_from_config  # untyped
            create_from(request, _filler(name))
            self._drop_filler(api, name)

        self._docker.change(f"fill volume {name}", fill)

    def ensure_gone(self, name: str) -> None:
        def remove(api: APIClient) -> None:
            if (found := self._find(name)) is not None:
                require_ours(f"volume {name}", found.labels, self._home)
                self._drop_filler(api, name)
                api.remove_volume(name)

        with suppress(NotFound):  # someone was faster
            self._docker.change(f"remove volume {name}", remove)

    def _find(self, name: str) -> VolumeFacts | None:
        raw = self._docker.reader.get(f"/volumes/{quoted(require_container(name))}", timeout=self._docker.timeout)
        return None if raw is None else volume_facts(raw)

    def _is_mounted(self, name: str) -> bool:
        """Return whether a container has it, running or not."""
        query = with_query("/containers/json", {"all": "1", "filters": {"volume": [name]}})
        listed = self._docker.reader.get(query, timeout=self._docker.timeout)
        return any(name in {mount.get("Name") for mount in one.get("Mounts") or ()} for one in listed)

    def _drop_filler(self, api: APIClient, name: str) -> None:
        """Remove the container that fills it, also one that a killed process has left."""
        there = self._docker.reader.get(f"/containers/{quoted(_filler(name))}/json", timeout=self._docker.timeout)
        if there is not None and ((there["Config"].get("Labels") or {}).get(FILLS)) == name:
            with suppress(NotFound):
                api.remove_container(there["Id"], v=True, force=True)


def _filler(volume: str) -> str:
    return f"{volume}--fills"


def volume_facts(raw: Mapping[str, Any]) -> VolumeFacts:
    """Return a volume as we know it; its driver may have been told to use a path of the server in its place."""
    options = raw.get("Options") or {}
    device, bound = str(options.get("device") or ""), "bind" in str(options.get("o") or "").split(",")
    return VolumeFacts(raw["Name"], raw.get("Labels") or {}, device if bound or device.startswith("/") else "")
