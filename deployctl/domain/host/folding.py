"""Which history is folded into checkpoints: what no decision needs any more, and what would grow without bound."""

from __future__ import annotations

from deployctl.dataclass import dataclass
from deployctl.domain.host.denied_changes import DENIED_KINDS

FOLDING_DAY = 86_400.0  # seconds
# since a deployment was closed; its plan and the app's earlier state are only needed to recover it
PLANS_AFTER = 90 * FOLDING_DAY
REFUSALS_AFTER = 30 * FOLDING_DAY
REFUSALS_KEPT = 2000  # lines of rejected changes: the newest of each user
REFUSALS_SLACK = 500  # lines beyond that before folding starts: a checkpoint takes space, too
PLANS_KEPT, PLANS_SLACK = 2000, 500  # of closed deployments, newest
# What users can do as often as they like and what switches no traffic: of each kind, each actor's newest lines are kept.
REPEATED = ("signed_in", "signed_out", "session_ended", "user_password", "held", "released", "remark")
REPEATED_KEPT, REPEATED_SLACK = 500, 100
FOLDABLE = (*DENIED_KINDS, *REPEATED)  # kinds of events: only these may ever be removed
BATCH = 1000  # rows that one checkpoint replaces: a rollback in the meantime waits for no more than these


@dataclass(frozen=True, slots=True)
class Folded:
    """What was folded, or would be. `bytes`: size of the rows, approximately."""

    refusals: int = 0  # lines
    repeated: int = 0  # lines
    plans: int = 0
    bytes: int = 0

    def __add__(self, other: Folded) -> Folded:
        return Folded(self.refusals + other.refusals, self.repeated + other.repeated, self.plans + other.plans,
                      self.bytes + other.bytes)

    def __bool__(self) -> bool:
        return bool(self.refusals or self.repeated or self.plans)

    @property
    def sentence(self) -> str:
        """Return what was folded, as text."""
        parts = [f"{self.refusals} lines of denied changes"] if self.refusals else []
        parts += [f"{self.repeated} lines of frequent actions"] if self.repeated else []
        parts += [f"the plans of {self.plans} deployments"] if self.plans else []
        return ", ".join(parts) or "nothing"


def midnight(at: str) -> str:
    """Return the start of that day: what is due changes once a day, so that there is at most one checkpoint a day."""
    return at[:10]
