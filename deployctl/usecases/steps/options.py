"""The options of every changing verb."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.plain_text import parse_note
from deployctl.errors import StateChanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.ports import Services


def _always(_s: Services) -> None: ...


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """`if_revision` rejects the change if the traffic changed in the meantime; `lock_wait` is in seconds. `still_may`
    raises once the user's right has ended, possibly while waiting for the lease or a long pull; on the command line it
    never ends.

    Raises Invalid for an invalid note.
    """

    note: str = ""
    if_revision: int | None = None
    lock_wait: float = 0.0
    confirmed: bool = False
    still_may: Callable[[Services], None] = _always

    def __post_init__(self) -> None:
        parse_note(self.note, field="note")


def require_revision(facts: AppFacts, options: ChangeOptions) -> None:
    """Raises StateChanged if the traffic was switched since the caller read it."""
    now = facts.app.revision
    if options.if_revision is None or options.if_revision == now:
        return
    last = facts.changes[0] if facts.changes else None
    who = f" by {last.actor} to {facts.version(last.target) or 'no version'}" if last else ""
    raise StateChanged(
        f"traffic of {facts.app.name} was switched{who} (revision {now}, you expected {options.if_revision}). "
        "Nothing was changed.", remedy=[f"deployctl status {facts.app.name}"])
