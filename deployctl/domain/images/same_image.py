"""Is a container made of the image that its release names? Asked wherever traffic may go to it, and answered here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle


def is_made_of(image: str, bundle: Bundle) -> bool:
    """Tell whether a container whose image id the engine tells as `image` runs the image of that bundle."""
    return image == bundle.digest


def short_digest(digest: str | None) -> str:
    """Return the 12 characters of an image id or a digest by which people tell one from another; nothing for none."""
    return (digest or "").removeprefix("sha256:")[:12]
