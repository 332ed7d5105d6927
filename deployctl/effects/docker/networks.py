"""Networks of an engine: read as facts, created and removed if they are this home's. `podman` tells which engine it
is. What it does with volumes and inside containers is in modules of their own, which only few commands load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from deployctl.domain.host.home import PATH_LABEL
from deployctl.effects.docker.names import require_container
from deployctl.effects.docker.reader import with_query
from deployctl.errors import Invalid, NetworkTaken, NotFound, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.effects.docker.client import DockerClient
    from deployctl.effects.docker.facts import Hider
    from deployctl.effects.docker.volumes import DockerVolumes
    from deployctl.ports import ContainerFacts, Executed, NetworkFacts, NetworkSpec, VolumeFacts, VolumeSpec
    from deployctl.ports.inside import Inside


class DockerNetworks:
    def __init__(self, client: DockerClient, home: HomeIdentity, *, podman: Callable[[], bool]) -> None:
        self._docker, self._home, self._podman = client, home, podman

    def all(self) -> list[NetworkFacts]:
        from deployctl.effects.docker import facts

        return [facts.network_facts(raw) for raw in self._complete(self._get("/networks"))]

    def find(self, name: str) -> dict[str, Any] | None:
        """Return what the engine reports of the network of exactly that name: Docker also matches parts of names."""
        listed = self._get(with_query("/networks", {"filters": {"name": [require_container(name)]}}))
        found = [raw for raw in listed if raw["Name"] == name]
        return next(iter(self._complete(found)), None) if found else None

    def ensure(self, spec: NetworkSpec, labels: Mapping[str, str]) -> None:
        from deployctl.effects.docker import requests as words
        from deployctl.effects.docker.errors import EngineConflict

        options, ipam = words.network_options(spec)
        more: dict[str, Any] = {"options": options, "ipam": ipam, "labels": dict(labels)}

        def create(api: APIClient) -> None:
            found = self.find(spec.name)
            if found is None:
                api.create_network(spec.name, "bridge", check_duplicate=True, **more)
            else:
                self._require_same(spec, found)

        try:
            self._docker.change(f"create network {spec.name}", create)
        except EngineConflict as e:
            raise NetworkTaken(e.message, remedy=e.remedy) from e

    def _require_same(self, spec: NetworkSpec, found: Mapping[str, Any]) -> None:
        from deployctl.effects.docker import facts

        there, remedy = facts.network_facts(found), [f"docker network inspect {spec.name}"]
        if not self._home.owns(there.labels):
            raise NetworkTaken(f"a network {spec.name} already exists and is not ours", remedy=remedy)
        if (there.subnets, there.bridge) != ((spec.subnet,), spec.bridge):
            other = f"{', '.join(there.subnets) or 'no subnet'} on {there.bridge}"
            raise NetworkTaken(f"network {spec.name} has {other}, not {spec.subnet} on {spec.bridge}", remedy=remedy)

    def ensure_gone(self, name: str) -> None:
        def remove(api: APIClient) -> None:
            if (found := self.find(name)) is not None:
                require_ours(f"network {name}", found.get("Labels") or {}, self._home)
                # by id, Podman removes a network even if containers are in it
                api.remove_network(name if self._podman() else found["Id"])

        with suppress(NotFound):  # someone was faster
            self._docker.change(f"remove network {name}", remove)

    def _get(self, path: str) -> Any:
        return self._docker.reader.get(path, timeout=self._docker.timeout)

    def _complete(self, listed: list[Any]) -> list[Any]:
        from deployctl.effects.docker.podman import with_bridges

        return with_bridges(listed, self._get) if self._podman() else listed


class VolumeVerbs:
    """What an engine does with volumes."""

    _docker: DockerClient
    _home: HomeIdentity
    _labels: Callable[[Mapping[str, str]], dict[str, str]]

    @property
    def _volumes(self) -> DockerVolumes:
        from deployctl.effects.docker.volumes import DockerVolumes

        return DockerVolumes(self._docker, self._home)

    def volumes(self) -> list[VolumeFacts]:
        return self._volumes.all()

    def volume_sizes(self) -> Mapping[str, int]:
        return self._volumes.sizes()

    def ensure_volume(self, spec: VolumeSpec) -> None:
        self._volumes.ensure(spec, self._labels(spec.labels))

    def fill_volume(self, name: str, image: str, target: str) -> None:
        self._volumes.fill(name, image, target)

    def ensure_volume_gone(self, name: str) -> None:
        self._volumes.ensure_gone(name)


class InsideVerbs:
    """What an engine does inside containers."""

    _docker: DockerClient
    _hider: Hider
    _home: HomeIdentity
    _require_own: Callable[[str], ContainerFacts]

    def execute(self, container: str, command: Sequence[str], *, timeout: float) -> Executed:
        from deployctl.effects.docker.exec import execute

        if not command or not command[0]:
            raise Invalid("no command to run")
        found = self._require_own(container)
        return execute(self._docker.sdk(), found.id, command, timeout=timeout, address=self._docker.address, hider=self._hider)

    def read_file(self, container: str, path: str) -> bytes | None:
        from deployctl.effects.docker.exec import read_file

        return read_file(self._docker.sdk(), self._require_own(container).id, path, address=self._docker.address)

    def inside(self) -> Inside:
        from deployctl.effects.docker.inside.attached import Attachments

        return Attachments(self._docker, self._home, self._require_own)


def require_ours(what: str, labels: Mapping[str, str], home: HomeIdentity) -> None:
    if not home.owns(labels):
        raise NotPermitted(f"{what} is not ours: it has no label {PATH_LABEL}={home.path}")
