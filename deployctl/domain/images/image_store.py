"""An engine hides what lies in another image store than the one it uses now: nothing is gone, and nothing can be seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployctl.domain.images.release import Instance

SWITCHED = "image_store_switched"  # what programs go by


def find_hidden(instances: Mapping[int, Instance], present: Collection[int], store: str | None) -> frozenset[int]:
    """Return the releases whose containers were made in another store than `store`, and are not to be seen.

    None and empty are stores that are not known: of a container made before they were remembered, or not asked for.
    """
    return frozenset(n for n, i in instances.items() if store and i.store and i.store != store and n not in present)


def switched_text(app: str, version: str | None, *, before: str, now: str) -> str:
    """Return the one sentence with the two ways out."""
    anew = f"or create {version} again here: deployctl upgrade {app} {version}" if version else "or upgrade the app here"
    return (f"the engine keeps images and containers in another store now ({now}) than when these were made ({before}), "
            f"and hides them: switch it back (features.containerd-snapshotter in /etc/docker/daemon.json), {anew}")
