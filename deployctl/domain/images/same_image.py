"""Whether a container was created from the image its release names: checked wherever traffic may go to it, and decided
here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle


def is_made_of(image: str, bundle: Bundle) -> bool:
    """Return whether a container with the image id `image`, as the engine reports it, runs that spec's image."""
    return image == bundle.digest


def short_digest(digest: str | None) -> str:
    """Return the 12 characters by which people tell image ids or digests apart; nothing for none."""
    return (digest or "").removeprefix("sha256:")[:12]
