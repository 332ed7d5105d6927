"""The card of the demo: what a newcomer can try, with a tick for what was done. Other homes have none."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services

DEMO = "deployctl.demo"  # the label that a demo's server.toml adds to everything
FIXED = Version("v3")  # the version of the demo in which the bug is fixed
MAX_CHANGES_SEARCHED = 50  # changes, the newest


@dataclass(frozen=True, slots=True)
class Try:
    """One line of the card. `deploy` is a version that its button deploys, `command` what can be typed instead."""

    text: str
    done: bool
    command: str = ""
    deploy: str = ""


def first_steps(app: AppName, s: Services) -> tuple[Try, ...]:
    """Return what there is to try in a demo; nothing anywhere else."""
    if DEMO not in dict(s.spec.labels):
        return ()
    changes = s.ledger.changes(app, limit=MAX_CHANGES_SEARCHED)
    repaired = {*s.ledger.releases_of(app, FIXED, limit=MAX_CHANGES_SEARCHED)}
    return tries(app, changes, repaired={c.target for c in changes} & repaired != set())


def tries(app: AppName, changes: Sequence[Change], *, repaired: bool) -> tuple[Try, ...]:
    """Return the four lines; `changes` latest first."""
    clicked = [change for change in changes if Actor.of(change.actor).via == Via.WEB]
    first = clicked[-1].revision if clicked else None
    typed = first is not None and any(Actor.of(c.actor).via == Via.CLI and c.revision > first for c in changes)
    return (
        Try("Roll back from the page", any(change.kind == PlanKind.ROLLBACK for change in clicked)),
        Try("Undo it", any(change.kind == PlanKind.UNDO for change in clicked)),
        Try(f"Deploy {FIXED}, where the bug is fixed", repaired, deploy="" if repaired else FIXED),
        Try("Do the same from a terminal", typed, command=f"deployctl rollback {app}"),
    )
