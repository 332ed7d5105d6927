"""Containers that deployctl did not create: those of a Compose project that an app takes over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from deployctl.effects.docker.reader import quoted, with_query
from deployctl.errors import EngineRefused, NotFound
from deployctl.ports.foreign import ForeignContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from docker import APIClient

    from deployctl.effects.docker.client import DockerClient

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
OURS = "deployctl.managed"
LONGEST_GRACE = 600  # seconds for which an answer to `stop` is awaited


class DockerForeigners:
    def __init__(self, client: DockerClient) -> None:
        self._docker = client

    def of_project(self, project: str) -> list[ForeignContainer]:
        found = self._listed({"label": [f"{PROJECT}={project}"]}, every=True)
        return sorted((one for one in found if one.project == project), key=lambda one: one.name)

    def users_of(self, volume: str) -> list[ForeignContainer]:
        return [one for one in self._listed({"volume": [volume]}) if volume in one.volumes]

    def set_restart(self, container: ForeignContainer, policy: str, retries: int = 0) -> None:
        told: Any = {"Name": policy, "MaximumRetryCount": retries}
        with suppress(NotFound):
            self._change("update", container, lambda api: api.update_container(container.id, restart_policy=told))

    def ensure_stopped(self, container: ForeignContainer) -> None:
        with suppress(NotFound):
            self._change("stop", container, _stop(container.id))

    def ensure_started(self, container: ForeignContainer) -> None:
        self._change("start", container, lambda api: api.start(container.id))

    def _listed(self, filters: Mapping[str, list[str]], *, every: bool = False) -> list[ForeignContainer]:
        query = with_query("/containers/json", {"all": "1" if every else "0", "filters": filters})
        listed = self._docker.reader.get(query, timeout=self._docker.timeout)
        found = []
        for one in listed:
            if OURS not in (one.get("Labels") or {}):
                told = self._docker.reader.get(f"/containers/{quoted(one['Id'])}/json", timeout=self._docker.timeout)
                found += [_facts(told)] if told is not None else []
        return found

    def _change(self, doing: str, container: ForeignContainer, act: Callable[[APIClient], Any]) -> None:
        def checked(api: APIClient) -> None:
            told = self._docker.reader.get(f"/containers/{quoted(container.id)}/json", timeout=self._docker.timeout)
            if told is None:
                raise NotFound(f"the container {container.name} is gone", remedy=["docker ps -a"])
            if OURS in (told["Config"].get("Labels") or {}):
                raise EngineRefused(f"{container.name} is a container of deployctl's", remedy=["deployctl status"])
            act(api)

        self._docker.change(f"{doing} {container.name}", checked)


def _stop(container: str) -> Callable[[APIClient], Any]:
    """Return a call that lets the container have its own grace, which docker-py would replace by one of its own."""
    def stop(api: APIClient) -> None:
        answer = api.post(f"{api.base_url}/containers/{container}/stop", timeout=LONGEST_GRACE)
        if answer.status_code not in {204, 304}:
            raise EngineRefused(f"Docker did not stop it: {answer.status_code}", remedy=[f"docker stop {container[:12]}"])

    return stop


def _facts(told: Mapping[str, Any]) -> ForeignContainer:
    labels, host = told["Config"].get("Labels") or {}, told.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    mounts = told.get("Mounts") or ()
    return ForeignContainer(
        id=told["Id"], name=told["Name"].removeprefix("/"), project=labels.get(PROJECT, ""),
        compose_service=labels.get(SERVICE, ""),
        image=told["Config"].get("Image", ""), running=bool(told["State"].get("Running")), restart=policy.get("Name") or "no",
        retries=policy.get("MaximumRetryCount") or 0,
        volumes=tuple(one.get("Name") or one.get("Source") or "" for one in mounts))
