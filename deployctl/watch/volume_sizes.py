"""How much the volumes of apps hold, counted at most once a minute while somebody watches an app that has some. The engine
counts files, so this has a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.errors import DeployctlError
from deployctl.memory import size_of
from deployctl.ports import Services

COUNT_INTERVAL = 60.0  # seconds
SHARE = 20  # counting takes at most one part in so many of the time
LOOK_INTERVAL = 2.0  # seconds between two looks at who watches what
OF_APP, OF_VOLUME = "deployctl.app", "deployctl.volume"  # labels of a volume


class VolumeSizes:
    """One thread counts, others use the results."""

    def __init__(self, looked_at: Callable[[], Collection[AppName] | None]) -> None:
        self._looked_at = looked_at
        self._sizes: dict[AppName, dict[str, int]] = {}
        self._due = self._count_due = float("-inf")

    @property
    def bytes(self) -> int:
        return size_of(self._sizes)

    def of(self, app: AppName) -> Mapping[str, int]:
        return self._sizes.get(app, {})

    def tick(self, s: Services) -> None:
        """Count if it is due. Every DeployctlError is survived."""
        now = s.clock.now()
        if now < self._due:
            return
        self._due = now + LOOK_INTERVAL
        apps = {app for app in map(owner_of, self._looked_at() or ()) if _has_volumes(app, s)}
        if not apps or (now < self._count_due and apps <= self._sizes.keys()):
            return
        try:
            self._sizes = _count(apps, s)
        except DeployctlError:  # it is shown without sizes
            self._sizes = {app: {} for app in apps}
        self._count_due = s.clock.now() + max(COUNT_INTERVAL, SHARE * (s.clock.now() - now))


def _has_volumes(app: AppName, s: Services) -> bool:
    rows = [s.ledger.find_app(app), *s.ledger.backing(app)]
    live = [s.ledger.find_release(row.name, row.active) for row in rows if row and row.active]
    return any(one.bundle.mounts for release in live if release for one in release.components)


def _count(apps: Collection[AppName], s: Services) -> dict[AppName, dict[str, int]]:
    found: dict[AppName, dict[str, int]] = {app: {} for app in apps}
    sizes = s.engine.volume_sizes()
    for one in s.engine.volumes():
        app, volume = AppName(one.labels.get(OF_APP, "")), one.labels.get(OF_VOLUME)
        if app in found and volume and one.name in sizes and s.ledger.identity.owns(one.labels):
            found[app][volume] = sizes[one.name]
    return found
