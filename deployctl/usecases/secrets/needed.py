"""Which values releases need: those that can be rolled back to, and those that have a container."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from deployctl.domain.change.serving import release_name
from deployctl.domain.inputs.names import backing_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def values_needed(app: AppName, s: Services) -> Collection[str]:
    """Return the ids of the values that a release within reach was deployed with, of the app or of a backing component."""
    return {ref.value for release in within_reach(app, s) for one in release.components for ref in one.bundle.secrets}


def kept_with(app: AppName, name: str, s: Services) -> list[Release]:
    """Return the releases with a container that need that secret: the app's, latest first, then its backing components'."""
    return [release for release in with_container(within_reach(app, s), s)
            if any(ref.name == name for one in release.components for ref in one.bundle.secrets)]


def within_reach(app: AppName, s: Services) -> list[Release]:
    """Return the releases of the app and of its backing components that can be rolled back to."""
    if s.ledger.find_app(app) is None:
        return []
    every = (app, *(one.name for one in s.ledger.backing(app)))
    return [release for one in every for release in s.ledger.releases_within_reach(one)]


def with_container(releases: Sequence[Release], s: Services) -> list[Release]:
    """Return those of the releases that have a container."""
    kept = {(one.app, one.release) for app in {release.app for release in releases} for one in s.ledger.instances(app)}
    return [release for release in releases if (release.app, release.number) in kept]


def spoken(release: Release, among: Sequence[Release]) -> str:
    """Return the unambiguous name of that release; of a backing component's with the component before it."""
    name = release_name(release, [one for one in among if one.app == release.app])
    return f"{release.app} {name}" if backing_of(release.app) is not None else name
