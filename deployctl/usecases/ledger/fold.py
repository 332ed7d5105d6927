"""Fold old history: the ledger then contains what decisions and pages need, and still verifies."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.domain.host.folding import PLANS_AFTER, REFUSALS_AFTER, Folded, midnight
from deployctl.usecases.clock_math import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Ledger, Services

PAUSE_SECONDS = 0.15  # seconds: a process that waits for the ledger retries every 0.1 s, https://sqlite.org/c3ref/busy_timeout.html


def fold(s: Services) -> Folded:
    return fold_ledger(s.ledger, at=s.clock.utc(), actor=s.actor, pause=s.clock.sleep)


def fold_ledger(ledger: Ledger, *, at: str, actor: str, pause: Callable[[float], None]) -> Folded:
    """Fold all that is due, in batches with a pause after each: a rollback in the meantime waits for one batch.

    Idempotent.
    """
    return (_all(lambda: ledger.fold_refusals(before=refusals_due(at), at=at, actor=actor), pause)
            + _all(lambda: ledger.fold_repeated(at=at, actor=actor), pause)
            + _all(lambda: ledger.fold_plans(before=plans_due(at), at=at, actor=actor), pause))


def refusals_due(now: str) -> str:
    """Return the time before which rejected changes are folded."""
    return midnight(later(now, -REFUSALS_AFTER))


def plans_due(now: str) -> str:
    return midnight(later(now, -PLANS_AFTER))


def _all(next_batch: Callable[[], Folded], pause: Callable[[float], None]) -> Folded:
    done = Folded()
    while batch := next_batch():
        done += batch
        pause(PAUSE_SECONDS)
    return done
