"""The history that decisions need: as long as what is kept, however many releases and changes there ever were.

In scope is what has a container, what is active, being changed or was changed last, and what can be rolled back to from
there. Of each of their versions the releases are included that its name could mean, or that could be confused with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from deployctl.ledger.apps import release_of
from deployctl.ledger.journal import change_of

if TYPE_CHECKING:
    from deployctl.domain.images.release import Change, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.file.connection import LedgerConnection


class ReachRows:
    """Reads the tables `releases` and `changes` by what is kept."""

    db: LedgerConnection

    def releases_within_reach(self, app: AppName, named: Collection[str | int | None] = ()) -> list[Release]:
        """Return them, newest first; `named` are versions and release numbers that are also requested."""
        return [release_of(row) for row in self.db.execute(_RELEASES, {
            "app": app, "numbers": json.dumps([one for one in named if isinstance(one, int)]),
            "versions": json.dumps([one for one in named if isinstance(one, str)])})]

    def telling_changes(self, app: AppName) -> list[Change]:
        """Return what decisions need of the history, last change first: that one, and for each kept release when it
        last went live and when it last ended."""
        return [change_of(row) for row in self.db.execute(_CHANGES, {"app": app})]


_KEPT = """
opened as (select * from deployments where app = :app and finished_at is null),
kept(number) as (
    select release from instances where app = :app
    union select active from apps where name = :app
    union select source from opened union select target from opened
    union select steps.release from opened join steps on steps.deployment = opened.id
)"""
_CHANGES = f"""
with {_KEPT}
select * from changes where app = :app and revision in (
    select max(revision) from changes where app = :app
    union select (select max(revision) from changes where app = :app and target = number) from kept
    union select (select max(revision) from changes where app = :app and source = number) from kept
) order by revision desc
"""  # noqa: S608  words of our own
# A version means its newest health-checked release, one on hold only if there is no other, an unchecked one if none
# ever was; the second health-checked one shows whether the version alone is ambiguous.
_RELEASES = f"""
with {_KEPT},
last as (select * from changes where app = :app order by revision desc limit 1),
near(number) as (
    select number from kept
    union select source from last union select target from last union select held from last union select lifted from last
    union select value from last, json_each(last.chain)
    union select value from json_each(:numbers)
),
near_version(name) as (
    select version from near cross join releases on app = :app and releases.number = near.number
    union select value from json_each(:versions)
)
select * from releases where app = :app and number in (
    select number from near
    union select (select max(number) from releases where app = :app and version = name) from near_version
    union select (select max(number) from releases where app = :app and version = name and proven_at is not null
                  and hold_at is null) from near_version
    union select (select number from releases where app = :app and version = name and proven_at is not null
                  order by number desc limit 1) from near_version
    union select (select number from releases where app = :app and version = name and proven_at is not null
                  order by number desc limit 1 offset 1) from near_version
) order by number desc
"""  # noqa: S608  words of our own
