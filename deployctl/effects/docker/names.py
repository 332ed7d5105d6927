"""Every name is checked before it becomes part of a URL: the engine would follow `../`, and accept the beginning of an
id."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import replace
from deployctl.domain.images.image_ref import DOCKER_HUB, ImageRef, as_on_hub, parse_image
from deployctl.domain.images.image_source import OWN_TAG_PREFIX
from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid, NotPermitted
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PODMANS_OWN = "localhost"  # registry of what was built or loaded under a short name
_ID = pattern(r"[0-9a-f]{64}")
_CONTAINER = pattern(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DIGEST = pattern(r"sha256:[0-9a-f]{64}")


def require_container(text: str) -> str:
    if len(text) > 255 or not _CONTAINER.fullmatch(text):
        raise Invalid(f"{shown(text)} is not a container id or name")
    return text


def is_id(container: str) -> bool:
    """Return whether it is a full id: Docker accepts a name or the beginning of an id in many places."""
    return _ID.fullmatch(container) is not None


def spoken(container: str) -> str:
    """Return the name, or the part of the id that people know from `docker ps`."""
    return container[:12] if is_id(container) else container


def require_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise Invalid(f"{shown(text)} is not an image id (sha256: and 64 hex digits)")
    return text


def parse_reference(text: str) -> ImageRef | str:
    """Return an image id as it is, or a parsed name whose tag is never omitted: `deadbe` alone could mean an id."""
    if _DIGEST.fullmatch(text):
        return text
    ref = parse_image(text)
    return ref if ref.digest else ImageRef(ref.registry, ref.repository, ref.tag or "latest")


def require_name(text: str) -> ImageRef:
    """Return the parsed name: a registry cannot be queried by id."""
    ref = parse_reference(text)
    if isinstance(ref, str):
        raise Invalid(f"{ref} is an image id; only a name can be pulled")
    return ref


def docker_name(ref: ImageRef | str) -> str:
    """Return the name for the engine; a digest takes precedence over the tag before it."""
    return f"{ref.name}@{ref.digest}" if isinstance(ref, ImageRef) and ref.digest else str(ref)


def short(name: str) -> str:
    """Return an image's name as Docker writes it: Podman includes default registries, too."""
    return str(_unsaid(parse_image(name)))


def carries(image: Mapping[str, Any], ref: ImageRef | str) -> bool:
    """Return whether the image that the engine found really has this name, and not an id that starts with it."""
    if isinstance(ref, str):
        return bool(image["Id"] == ref)
    wanted = replace(ref, tag=None) if ref.digest else ref
    names = [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
    return any(_same(wanted, parse_image(name)) for name in names)


def _same(requested: ImageRef, listed: ImageRef) -> bool:
    return requested in {listed, _unsaid(listed)}


def _unsaid(listed: ImageRef) -> ImageRef:
    """Return what a name without a registry means: Podman prefixes it with `localhost/`."""
    if listed.registry != PODMANS_OWN:
        return listed
    return replace(listed, registry=DOCKER_HUB, repository=as_on_hub(listed.repository))


def require_own_tag(tag: str) -> tuple[str, str]:
    """Return name and version of a tag of ours; nobody else's is ever touched."""
    ref = parse_reference(tag)
    if isinstance(ref, str) or not tag.startswith(OWN_TAG_PREFIX) or ref.digest or not ref.tag:
        raise NotPermitted(f"{tag} is not one of our tags, which start with {OWN_TAG_PREFIX}")
    return ref.name, ref.tag
