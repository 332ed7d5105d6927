"""Whether something has changed, for frequent polling: cheap queries whose results differ if so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployctl.domain.inputs.names import AppName

if TYPE_CHECKING:
    from deployctl.ledger.file.connection import LedgerConnection

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
        """Return for each app, or for that one, a text that differs after its traffic, a deployment, a step or a lease
        has changed."""
        rows = self.db.execute(_STAMPS) if app is None else self.db.execute(f"{_STAMPS} where a.name = ?", [app])
        return {AppName(row["name"]): repr(tuple(row)) for row in rows}
