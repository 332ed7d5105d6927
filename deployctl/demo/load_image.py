"""Loads images into an engine. A layer is sent only if the engine lacks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from deployctl.demo.image_tar import TarImage, image_tar
from deployctl.errors import EngineRefused, EngineUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_images(base_url: str, *images: TarImage, timeout: float = 60) -> list[str]:
    """Ensure that the engine has these images under their tags, and return its ids for them. Idempotent."""
    with _errors("load images"), closing(_client(base_url, timeout)) as client:
        missing = [image for image in images if not _holds(client, image)]
        if missing and _refusal(client, missing, with_layers=False):
            _send_whole(client, missing)
        return [str(client.inspect_image(image.tags[0])["Id"]) for image in images]


def _client(base_url: str, timeout: float) -> Any:  # docker-py's low-level client is untyped
    from docker import APIClient

    return APIClient(base_url=base_url, version="auto", timeout=int(timeout))


def _holds(client: Any, image: TarImage) -> bool:
    from docker.errors import ImageNotFound

    try:
        return all(image.is_told_by(client.inspect_image(tag)) for tag in image.tags)
    except ImageNotFound:
        return False


def _send_whole(client: Any, images: Sequence[TarImage]) -> None:
    refusal = _refusal(client, images, with_layers=True)
    if refusal:
        raise EngineRefused(f"the engine did not load {images[0].tags[0]}: {refusal}", remedy=["docker info"])


def _refusal(client: Any, images: Sequence[TarImage], *, with_layers: bool) -> str | None:
    """Return why the engine did not accept these images; None if it has them."""
    from docker.errors import APIError

    try:
        lines: list[dict[str, Any]] = list(client.load_image(image_tar(images, with_layers=with_layers)))
    except APIError as refused:
        return str(refused.explanation or refused)
    return next((str(line["error"]) for line in lines if "error" in line), None)


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as e:
        kind = EngineRefused if e.is_client_error() else EngineUnavailable
        raise kind(f"cannot {doing}: {e.explanation}", remedy=["docker info"]) from e
    except (DockerException, RequestException) as e:
        raise EngineUnavailable(f"cannot {doing}: {e}", remedy=["docker info"]) from e


def unload_images(base_url: str, *tags: str) -> list[str]:
    """Remove these tags and return those that existed; an image goes with its last tag."""
    from docker.errors import ImageNotFound

    removed = []
    with _errors("remove images"), closing(_client(base_url, 60)) as client:
        for tag in tags:
            try:
                client.remove_image(tag)
            except ImageNotFound:
                continue
            removed.append(tag)
    return removed
