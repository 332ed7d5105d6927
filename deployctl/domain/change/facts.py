"""What was read of one app before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass, field

if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Change, Instance, Release
    from deployctl.domain.inputs.names import Version


@dataclass(frozen=True, slots=True)
class AppFacts:
    """One reading of ledger, engine and HAProxy. Numbers are release numbers."""

    app: App
    releases: Mapping[int, Release] = field(default_factory=dict)
    instances: Mapping[int, Instance] = field(default_factory=dict)
    running: frozenset[int] = frozenset()  # its container runs at its own address
    present: frozenset[int] = frozenset()  # its container exists, running or not
    other_image: frozenset[int] = frozenset()  # its container was created from another image: neither running nor present
    own_mac: frozenset[int] = frozenset()  # runs with the MAC it was created with: its address may be pinned
    changes: tuple[Change, ...] = ()  # the part of the history that decisions need, latest first (Ledger.telling_changes)
    serving: int | None = None  # where HAProxy routes
    engine_away: str | None = None  # why the engine could not be read; the ledger's record is used instead

    def version(self, number: int | None) -> Version | None:
        release = None if number is None else self.releases.get(number)
        return release.version if release else None

    def last_served(self, number: int) -> int:
        """Return the last revision that switched traffic to or away from that release, 0 if there is none."""
        return max((c.revision for c in self.changes if number in (c.source, c.target)), default=0)

    def is_warm(self, number: int) -> bool:
        """Return whether the release can take traffic immediately: health-checked, running and known to HAProxy."""
        instance, release = self.instances.get(number), self.releases.get(number)
        return bool(number in self.running and instance and instance.routed and release and release.proven_at)

    def newest_proven(self, version: Version) -> Release | None:
        """Return the release that a version means: the newest one that ever passed its health check."""
        found = [r for r in self.releases.values() if r.version == version and r.proven_at]
        return max(found, key=lambda r: r.number, default=None)
