"""Which values releases need: those that can be rolled back to, and those that have a container."""

from __future__ import annotations

from collections.abc import Collection, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def values_needed(app: AppName, s: Services) -> Collection[str]:
    """Return the ids of the values that a release within reach was deployed with."""
    return {ref.value for release in _within_reach(app, s) for one in release.components for ref in one.bundle.secrets}


def kept_with(app: AppName, name: str, s: Services) -> list[Release]:
    """Return the releases with a container that need that secret, latest first."""
    kept = {instance.release for instance in s.ledger.instances(app)}
    return [release for release in _within_reach(app, s)
            if release.number in kept and any(ref.name == name for one in release.components for ref in one.bundle.secrets)]


def _within_reach(app: AppName, s: Services) -> Iterable[Release]:
    return s.ledger.releases_within_reach(app) if s.ledger.find_app(app) else ()
