"""What an engine tells of itself and of its images, in our words."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.images.healthcheck import HealthcheckTimes


class Lack(StrEnum):
    """What an engine that answers like Docker cannot do."""

    UPDATE = "container_update"  # change limits or restarts of a container that exists
    HEALTHCHECKS = "healthchecks"  # run an image's HEALTHCHECK


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str  # 20.10.24
    api: str  # 1.41
    architecture: str  # amd64, as images name it
    rootless: bool
    local: bool  # a Unix socket on this host: container addresses may be reachable
    security: tuple[str, ...] = ()  # what the engine can enforce: seccomp, apparmor, userns…
    root_dir: str = "/var/lib/docker"
    id: str = ""  # tells one engine from another; Podman invents one for each answer
    product: str = "Docker"  # or Podman
    store: str = ""  # where images and containers lie: overlay2, "containerd overlayfs"; another one hides them all
    containerd: str = ""  # socket of containerd, where the store is its own
    forwarding: bool | None = None  # the kernel forwards IPv4 packets; None: not told
    lacks: tuple[Lack, ...] = ()  # what this engine cannot do
    other_context: str | None = None  # where the `docker` command looks, when that is another engine


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image as the engine's list of them has it."""

    digest: str  # image id, sha256:<64 hex>
    tags: tuple[str, ...]
    created_at: str  # ISO 8601, UTC
    size: int  # bytes
    commit: str = ""  # what the label org.opencontainers.image.revision says


@dataclass(frozen=True, slots=True)
class Image:
    digest: str  # image id, sha256:<64 hex>
    architecture: str
    os: str
    size: int  # bytes
    tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()  # name@sha256:…; alone no proof of a registry: domain/images/image_source.py
    origins: tuple[str, ...] | None = None  # repositories that it was pulled from; None: the engine does not tell
    digests_of_tags: bool = False  # the engine makes a repo digest of each tag, under another digest than the id
    ports: tuple[int, ...] = ()  # EXPOSE, TCP only
    healthcheck: tuple[str, ...] | None = None
    healthcheck_times: HealthcheckTimes | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
