"""What tests share: the engine, free ports, and how things of ours are removed from Docker.

Whatever a test makes in Docker without a home carries the label `deployctl.test=1`; its images are named `dctl-test/…`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from tests import ports

LABEL = "deployctl.test=1"
IMAGES = "dctl-test/"


def engine_address() -> str:
    """Return the engine that DOCKER_HOST names, if it is on this machine, else Docker's usual socket."""
    named = os.environ.get("DOCKER_HOST", "")
    return named if named.startswith("unix://") else "unix:///var/run/docker.sock"


@contextmanager
def engine(url: str) -> Iterator[docker.APIClient]:
    api = docker.APIClient(base_url=url, timeout=60)
    try:
        yield api
    finally:
        api.close()


def why_no_engine(url: str) -> str | None:
    """Return None when it answers, else why not."""
    try:
        with engine(url) as api:
            api.ping()
    except (DockerException, OSError) as e:
        return f"no Docker engine on {url}: {e}"
    return None


def home_mark(home: Path) -> str:
    """Return what the names of that home's objects end with, read from beside its ledger."""
    try:
        return (home / "state" / "secret").read_text().splitlines()[1][:6]
    except (OSError, IndexError):
        return "none yet"


def free_port() -> int:
    """Return a port of 127.0.0.1 that is this test run's own until it ends."""
    return ports.LEASES.next()


def remove_labelled(api: docker.APIClient, label: str) -> None:
    """Remove every container, network and volume that carries it, running ones too."""
    wanted = {"label": label}
    for container in api.containers(all=True, filters=wanted):
        _remove(api.remove_container, container["Id"], v=True, force=True)
    for network in api.networks(filters=wanted):
        _remove(api.remove_network, network["Id"])
    for volume in api.volumes(filters=wanted)["Volumes"] or ():
        _remove(api.remove_volume, volume["Name"])


def has_containerd_store(api: docker.APIClient) -> bool:
    """Tell whether images lie in containerd's store: their ids and repository digests are other ones then."""
    return any("io.containerd.snapshotter" in value for _, value in api.info().get("DriverStatus") or ())


def image_tags(api: docker.APIClient) -> list[str]:
    return [tag for image in api.images() for tag in image["RepoTags"] or ()]


def remove_image(api: docker.APIClient, tag: str) -> None:
    """Take the tag away; the image goes with its last tag."""
    _remove(api.remove_image, tag, force=True)


def _remove(remove: Callable[..., Any], what: str, **options: bool) -> None:
    try:
        remove(what, **options)
    except NotFound:
        pass
    except APIError as e:
        if "already in progress" not in str(e):  # somebody removes the very same container
            raise

