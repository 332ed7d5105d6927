"""An engine hides what is in an image store other than the one it uses now: nothing is lost, and nothing is visible."""

from __future__ import annotations

from collections.abc import Collection, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Instance

SWITCHED = "image_store_switched"  # the code for programs


def find_hidden(instances: Mapping[InstanceId, Instance], present: Collection[InstanceId],
                store: str | None) -> frozenset[InstanceId]:
    """Return the instances whose containers were created in a store other than `store`, and are not visible.

    None and empty mean an unknown store: of a container created before stores were recorded, or not read.
    """
    return frozenset(n for n, i in instances.items() if store and i.store and i.store != store and n not in present)


def switched_text(app: str, version: str | None, *, before: str, now: str) -> str:
    """Return the sentence with the two ways out."""
    anew = f"or create {version} again here: deployctl upgrade {app} {version}" if version else "or upgrade the app here"
    return (f"the engine keeps images and containers in another store now ({now}) than when these were made ({before}), "
            f"and hides them: switch it back (features.containerd-snapshotter in /etc/docker/daemon.json), {anew}")
