"""The ledger: one object over one connection, composed of its table groups."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager

from deployctl.domain.inputs.names import AppName
from deployctl.ledger.access import AccessRows
from deployctl.ledger.apps import AppRows, release_of
from deployctl.ledger.events import RefusalRows
from deployctl.ledger.file.identity import identity_of, keys_of, require_gone
from deployctl.ledger.file.opening import open_ledger
from deployctl.ledger.fold import FoldRows
from deployctl.ledger.instances import InstanceRows
from deployctl.ledger.journal import JournalRows, change_of
from deployctl.ledger.leases import LeaseRows, ThisMachine
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.home import HomeIdentity
    from deployctl.domain.images.release import Change, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.file.connection import LedgerConnection
    from deployctl.ledger.leases import Machine


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


_STAMPS = """
select a.name, a.revision, a.active, l.token, l.holder,
    (select max(e.id) from events e where e.app = a.name) as event,
    (select max(d.id) from deployments d where d.app = a.name) as attempt,
    o.id as open, o.phase, o.abort_by,
    (select count(*) from steps s where s.deployment = o.id) as begun,
    (select count(s.finished_at) from steps s where s.deployment = o.id) as ended
from apps a
left join leases l on l.app = a.name
left join deployments o on o.app = a.name and o.finished_at is null
"""


class StampRows:
    """Reads what changes whenever an app does."""

    db: LedgerConnection

    def data_version(self) -> int:
        """Return a number that differs after another connection has written to the ledger."""
        return int(self.db.execute("pragma data_version")[0][0])

    def version(self) -> tuple[int, int, int]:
        """Return a value that differs after anything has written to the ledger, this connection included; compare it
        only with values from the same ledger object."""
        theirs = self.data_version()  # first: it may switch to another file
        return self.db.serial, theirs, self.db.raw.total_changes

    def stamps(self, app: AppName | None = None) -> Mapping[AppName, str]:
        """Return for each app, or for that one and its backing components, a text that differs after its traffic, a
        deployment, a step or a lease has changed."""
        mine = "where a.name = :app or (a.name > :app || '/' and a.name < :app || '0')"  # '0' follows '/'
        rows = self.db.execute(_STAMPS) if app is None else self.db.execute(f"{_STAMPS} {mine}", {"app": app})
        return {AppName(row["name"]): repr(tuple(row)) for row in rows}


class SqliteLedger(AppRows, InstanceRows, JournalRows, RefusalRows, FoldRows, LeaseRows, AccessRows, StampRows, ReachRows):
    """Everything deployctl records of one home."""

    def __init__(self, connection: LedgerConnection, machine: Machine | None = None) -> None:
        self.db, self.machine = connection, machine or ThisMachine()

    @classmethod
    def open(cls, path: Path, home: Path, *, now: str) -> SqliteLedger:
        """Open, check and migrate it; create it if there never was one. Raises LedgerUnusable."""
        return cls(open_ledger(path, home, now=now))

    @property
    def identity(self) -> HomeIdentity:
        """Return this home's identity: id and secret were created with the ledger; the secret signs labels, so that
        images cannot forge them."""
        return identity_of(self.db)

    def require_gone(self, places: Iterable[str]) -> None:
        """Raise CopiedHome if this home also exists at one of these paths."""
        require_gone(places, Path(self.identity.path), keys_of(self.db))

    def file(self) -> tuple[int, int]:
        return self.db.file()

    def set_home_id(self, home_id: str) -> None:
        """Continue with an id that the home had before its ledger and its keys were lost."""
        self.db.execute("update identity set home_id = ? where id = 1", [home_id])

    @property
    def engine(self) -> str | None:
        """Return the id of the engine that this home's containers were last seen on; None if there are none."""
        found = self.db.one("select engine from identity where id = 1 and exists (select 1 from instances)")
        return found["engine"] if found else None

    def set_engine(self, engine: str) -> None:
        """Record which engine the home's containers are on."""
        self.db.execute("update identity set engine = ? where id = 1 and engine is not ?", [engine, engine])

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return self.db.transaction(durable=durable)

    def keep_copy(self, *, at: str) -> None:
        """Back up the ledger to state/backups if traffic was switched since the last backup, and that is a minute
        old."""
        from deployctl.ledger.file.copies import CopyReason, is_due, keep_copy

        if is_due(self.db.raw, self.db.path, at=at):
            keep_copy(self.db.raw, self.db.path, CopyReason.PROMOTION, at=at)

    def close(self) -> None:
        self.db.close()
