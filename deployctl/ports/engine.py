"""What an engine reports of itself and of its images, in our terms."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.images.healthcheck import HealthcheckTimes


class Lack(StrEnum):
    """What an engine that is compatible with Docker does not support."""

    UPDATE = "container_update"  # changing limits or restart policy of an existing container
    HEALTHCHECKS = "healthchecks"  # running an image's HEALTHCHECK


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str  # 20.10.24
    api: str  # 1.41
    architecture: str  # amd64, as images write it
    rootless: bool
    local: bool  # a Unix socket on this host: container addresses may be reachable
    security: tuple[str, ...] = ()  # what the engine can enforce: seccomp, apparmor, userns…
    root_dir: str = "/var/lib/docker"
    id: str = ""  # distinguishes engines; Podman generates one for each response
    product: str = "Docker"  # or Podman
    store: str = ""  # where images and containers are stored: overlay2, "containerd overlayfs"; another one hides them all
    containerd: str = ""  # socket of containerd, if it is the image store
    forwarding: bool | None = None  # the kernel forwards IPv4 packets; None: not reported
    lacks: tuple[Lack, ...] = ()  # what this engine does not support
    other_context: str | None = None  # the `docker` command's context, if that is another engine


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image in the engine's list."""

    digest: str  # image id, sha256:<64 hex>
    tags: tuple[str, ...]
    created_at: str  # ISO 8601, UTC
    size: int  # bytes
    commit: str = ""  # from the label org.opencontainers.image.revision


@dataclass(frozen=True, slots=True)
class Image:
    digest: str  # image id, sha256:<64 hex>
    architecture: str
    os: str
    size: int  # bytes
    tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()  # name@sha256:…; alone no proof of a registry: domain/images/image_source.py
    origins: tuple[str, ...] | None = None  # repositories that it was pulled from; None: the engine does not report it
    digests_of_tags: bool = False  # the engine creates a repo digest for each tag, under a digest other than the id
    ports: tuple[int, ...] = ()  # EXPOSE, TCP only
    healthcheck: tuple[str, ...] | None = None
    healthcheck_times: HealthcheckTimes | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
