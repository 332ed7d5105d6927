"""A gap that is longer than requests may wait is asked about before anything begins."""

from __future__ import annotations

from deployctl.domain.change.expected_gap import expect_gap
from deployctl.errors import ConfirmationNeeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.expected_gap import ExpectedGap
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.plan import PlanKind
    from deployctl.domain.images.release import Release
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions


def gap_of(facts: AppFacts, target: Release, kind: PlanKind, s: Services) -> ExpectedGap | None:
    """Return what to expect; None for a move without a gap."""
    return expect_gap(facts, target, kind, s.ledger.last_times(facts.app.name))


def require_short_gap(facts: AppFacts, target: Release, kind: PlanKind, s: Services, options: ChangeOptions) -> None:
    """Raise ConfirmationNeeded if requests are to be expected to wait for longer than max_gap allows."""
    if options.confirmed or (gap := gap_of(facts, target, kind, s)) is None or not gap.asks:
        return
    raise ConfirmationNeeded(
        f"While {target.version} takes over, {', '.join(dict.fromkeys(part.component for part in gap.parts))} cannot run. "
        f"{gap.sentence} Those that would wait longer get 503. {kind.capitalize()} {facts.app.name} to {target.version}?",
        revision=facts.app.revision)
