"""Every name is checked before it reaches a URL: the engine would follow `../`, and take the beginning of an id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deployctl.domain.grammar import shown
from deployctl.domain.image_ref import ImageRef, parse_image
from deployctl.errors import Invalid

_ID = re.compile(r"[0-9a-f]{64}")
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def require_container(text: str) -> str:
    if len(text) > 255 or not _CONTAINER.fullmatch(text):
        raise Invalid(f"{shown(text)} is no container id or name")
    return text


def spoken(container: str) -> str:
    """Return the name, or the part of the id that people know from `docker ps`."""
    return container[:12] if _ID.fullmatch(container) else container


def require_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise Invalid(f"{shown(text)} is no image id: sha256: and 64 hex digits")
    return text


def parse_reference(text: str) -> ImageRef | str:
    """Return an image id as it is, or a parsed name whose tag is never left out: `deadbe` alone could mean an id."""
    if _DIGEST.fullmatch(text):
        return text
    ref = parse_image(text)
    return ref if ref.digest else ImageRef(ref.registry, ref.repository, ref.tag or "latest")


def require_name(text: str) -> ImageRef:
    """Return the parsed name: an id is nothing that a registry could be asked for."""
    ref = parse_reference(text)
    if isinstance(ref, str):
        raise Invalid(f"{ref} is an image id: only a name can be pulled")
    return ref


def docker_name(ref: ImageRef | str) -> str:
    """Return what the engine is asked for; a digest says more than the tag before it."""
    return f"{ref.name}@{ref.digest}" if isinstance(ref, ImageRef) and ref.digest else str(ref)


def carries(image: Mapping[str, Any], ref: ImageRef | str) -> bool:
    """Tell whether the image that the engine found really has this name, and not an id that starts so."""
    names = [image["Id"], *(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
    return docker_name(ref) in names
