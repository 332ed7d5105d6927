"""What the engine's list of images says about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deployctl.effects.docker.names import short
from deployctl.effects.docker.reader import with_query
from deployctl.ports import ListedImage
from deployctl.stdlib import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMMIT_LABEL = "org.opencontainers.image.revision"


def list_images(names: Sequence[str], read: Callable[[str], Any], *, podman: bool) -> list[ListedImage]:
    """Return the images with a tag of one of these names; `read` fetches the engine's JSON at a path."""
    found = read(with_query("/images/json", {"filters": {"reference": list(names)}})) if names else []
    return [listed_image(one, podman=podman) for one in found or []]


def listed_image(listed: Mapping[str, Any], *, podman: bool = False) -> ListedImage:
    """Return an image from the list; Podman writes names in full, and ids without their algorithm."""
    spelt, digest = short if podman else str, str(listed["Id"])
    return ListedImage(
        digest=digest if digest.startswith("sha256:") else f"sha256:{digest}",
        tags=tuple(map(spelt, listed.get("RepoTags") or ())),
        created_at=datetime.fromtimestamp(listed.get("Created") or 0, UTC).isoformat(timespec="seconds"),
        size=listed.get("Size") or 0,
        commit=str((listed.get("Labels") or {}).get(COMMIT_LABEL) or ""),
    )
