"""Rejected changes as the audit log shows them: one line for each user, route and minute, with a count.

A user without permissions must not be able to fill the ledger by trying.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.inputs.names import AppName

REFUSED, SIGN_IN_REFUSED = "refused", "sign_in_refused"
DENIED_KINDS = (REFUSED, SIGN_IN_REFUSED)  # of events
MAX_TEXT_CHARACTERS = 240  # characters of a text
NAMED = 5  # names, addresses or apps listed in one line
MAX_DENIED_A_MINUTE = 30  # rejected requests of one user in a minute; further ones get 429
_GATHERED = {"address": "addresses", "name": "names"}  # what differs between attempts → where the line keeps the first ones


@dataclass(frozen=True, slots=True)
class RefusedChange:
    """One rejected attempt, or all of a minute: then `at` is that of the last one and `data["count"]` their number.
    `route` is what was tried, in our terms; what the client sent is in `data` only."""

    kind: str
    actor: str
    route: str
    text: str
    at: str  # ISO 8601, UTC
    app: AppName | None = None  # None: the whole server, or several apps
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def minute(self) -> str:
        return self.at[:16]


def gathered(line: RefusedChange | None, one: RefusedChange) -> RefusedChange:
    """Return the minute's line with one more attempt. It stays short, whatever is tried."""
    known = {} if line is None else dict(line.data)
    data = {**one.data, **known, "count": known.get("count", 0) + 1}
    for single, many in _GATHERED.items():
        value = one.data.get(single)
        if value is not None and value not in (seen := data.get(many, [])) and len(seen) < NAMED:
            data[many] = [*seen, value]
    first = line or one
    return RefusedChange(one.kind, one.actor, one.route, first.text[:MAX_TEXT_CHARACTERS], one.at,
                         one.app if line is None or line.app == one.app else None, data)
