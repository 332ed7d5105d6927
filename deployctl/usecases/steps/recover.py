"""Finish or revert what a process left open when it died: HAProxy's routes decide, and recovering twice changes
nothing."""

from __future__ import annotations

import json
from enum import StrEnum

from deployctl.dataclass import replace
from deployctl.domain.change.deployment import EndCode, EndReason, Phase
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.errors import DeployctlError, Interrupted
from deployctl.execution.actions import STEP_ACTIONS
from deployctl.execution.health_gate import HealthGate
from deployctl.execution.runner import Walk, leave, only_retires, retire_rest, revert, take
from deployctl.usecases.read_facts import observe
from deployctl.usecases.steps.execute import holds_of
from deployctl.usecases.steps.lease import fenced_by
from deployctl.usecases.steps.options import ChangeOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


class Recovered(StrEnum):
    """What became of a deployment whose process had died."""

    FINISHED = "finished"
    REVERTED = "reverted"
    LEFT = "left"  # neither finished nor reverted: needs manual intervention
    UNFINISHED = "unfinished"  # only stops and removals, and some could not be done
    REPAIR_LEFT = "repair_left"  # its repairs stay, the rest will be found again


RecoveryOutcome = tuple[Recovered, str]


def recover(app: AppName, s: Services, token: int) -> str | None:
    """Settle the app's open deployment, if there is one: its holder is dead, because we have the lease.

    It is finished if HAProxy already routes to a target that responds, did not fail under traffic, and nobody asked it
    to stop; otherwise it is reverted, but if the traffic has moved, only to a source that responds. Finally the ledger
    follows a switch that was made outside. Return what was done.
    """
    from deployctl.usecases.steps.adopt import adopt_drift, agree_files

    opened, row, s = s.ledger.find_open(app), s.ledger.find_app(app), fenced_by(app, token, s)
    if opened is None or row is None:
        return adopt_drift(app, s, token)
    if opened.kind == PlanKind.REMOVE:
        from deployctl.usecases.steps.teardown import remove_backing, tear_down

        remove_backing(app, s, ChangeOptions())  # one may have been started in its network since
        tear_down(row, opened, s)
        return _tell(opened, (Recovered.FINISHED, "finished"), s)
    walk = rebuilt(opened, observe(app, s), s, token)
    if walk.promoted:  # the ledger has had its live version since then: all that is left is to drain, stop and remove
        retire_rest(walk, STEP_ACTIONS)
        outcome = Recovered.FINISHED, "finished"
    elif walk.plan.kind is PlanKind.RECONCILE:  # a partial repair is better than none, so no step has a revert
        revert(walk, {}, Interrupted("the process that ran it died"))
        outcome = Recovered.REPAIR_LEFT, "left: the next pass repairs the rest"
    elif only_retires(walk.plan):
        outcome = _retired(walk)
    elif _goes_forward(walk):
        target = walk.plan.target or 0
        # The process may have died between HAProxy's file and its running worker. A switch to where the traffic is
        # already costs one command and makes both agree; without it the next start of HAProxy could move clients.
        take(walk, Step(StepKind.SWITCH, target, "let HAProxy and its files say the same"), STEP_ACTIONS)
        if any(step.kind is StepKind.QUEUE for step in walk.begun):
            take(walk, Step(StepKind.RESUME, target, "let the waiting requests go on"), STEP_ACTIONS)
        take(walk, Step(StepKind.PROMOTE, target, "promote what HAProxy serves"), STEP_ACTIONS)
        retire_rest(walk, STEP_ACTIONS)
        outcome = Recovered.FINISHED, "finished: HAProxy had switched already" if _moved(walk) else "finished"
    elif (_moved(walk) or _asked_back(walk)) and not _can_go_back(walk):
        # A revert would only exchange one broken release for another, and hide that a person has to decide. The files
        # are written as HAProxy routes now, so that a restart of it does not decide in the meantime.
        why = "neither of the two releases is healthy" if _moved(walk) else "the release to roll back to is not responding"
        leave(walk, EndReason(EndCode.PROCESS_DIED, f"its process died at the switch, and {why}"))
        agree_files(s)
        outcome = Recovered.LEFT, f"left as it is: {why}"
    else:
        from deployctl.execution.revert_steps import UNDOS

        revert(walk, UNDOS, Interrupted("the process that ran it died"))
        outcome = Recovered.REVERTED, "reverted: its process died before it was done"
    return "; ".join(filter(None, (_tell(opened, outcome, s), adopt_drift(app, s, token))))


def _tell(opened: Deployment, outcome: RecoveryOutcome, s: Services) -> str:
    code, text = outcome
    sentence = f"an interrupted {opened.kind} of {opened.app} was {text}"
    s.ledger.event("recovered", sentence, at=s.clock.utc(), actor=s.actor, app=opened.app,
                   data={"deployment": opened.id, "outcome_code": code})
    s.report.warn(sentence)
    return sentence


def rebuilt(opened: Deployment, facts: AppFacts, s: Services, token: int) -> Walk:
    """Return the run as its dead process left it; the app's present row in the ledger is what it wanted."""
    plan = Plan.from_dict(json.loads(s.ledger.plan_of(opened.id)))
    rows = s.ledger.steps(opened.id)
    # Each step is recorded before it is taken, so the rows are what may have happened: a revert undoes them all, and
    # every revert copes with having nothing to undo.
    begun = [Step.from_dict(row) for row in rows]
    if facts.serving not in {None, plan.source, plan.target}:  # someone switched it since: that is not reverted
        begun = [step for step in begun if step.kind is not StepKind.SWITCH]
    by_hand = facts.serving == plan.target != plan.source  # an emergency switch got there first
    settled = frozenset((StepKind(row["kind"]), row["release"]) for row in rows if row["ok"])
    was = opened.before or facts.app  # None at the first deployment, which found no app
    before = facts.app.wishing(was)  # what a revert restores; `wishes` is what finishing keeps
    holds = holds_of(plan, facts)
    return Walk(plan, replace(facts, app=before), opened, s, token, wishes=facts.app, held=holds.held,
                lifted=holds.lifted, begun=begun, settled=settled, seq=len(rows), phase=opened.phase,
                promoted=opened.phase is Phase.DRAINING,  # the first phase after the promotion
                recovering=True,
                switched=by_hand or any(step.kind is StepKind.SWITCH for step in begun))


def _retired(walk: Walk) -> RecoveryOutcome:
    """Do the rest of a plan that only stops and removes; what cannot be done now is no reason to block other work."""
    try:
        retire_rest(walk, STEP_ACTIONS)
    except DeployctlError as e:
        return Recovered.UNFINISHED, f"left unfinished: {e.message}"
    return Recovered.FINISHED, "finished"


def _goes_forward(walk: Walk) -> bool:
    """Return whether the target responds and already has the traffic, with nobody holding it, or was to get it back."""
    stopped = walk.deployment.abort_by and _can_go_back(walk)  # ignored if the former release does not respond
    wanted = _asked_back(walk) or (_moved(walk) and not stopped)
    return wanted and not _failed_under_traffic(walk) and _answers(walk, walk.plan.target)


def _failed_under_traffic(walk: Walk) -> bool:
    """Return whether it failed after the switch. Passing the health check clears earlier failures, so one recorded
    after it belongs to this run. A later success does not make up for it."""
    target = walk.facts.releases.get(walk.plan.target or 0)
    return walk.switched and target is not None and target.failure is not None


def _moved(walk: Walk) -> bool:
    """Return whether the traffic went to the target release."""
    return walk.switched and walk.facts.serving == walk.plan.target and walk.plan.target is not None


def _asked_back(walk: Walk) -> bool:
    """Return whether the traffic was to return to what the ledger records as active: finishing and reverting are the
    same then. An emergency switch made since is not overridden."""
    plan, flipped = walk.plan, any(note.app == walk.plan.app for note in walk.services.traffic.notes())
    moves = plan.kind in {PlanKind.UPGRADE, PlanKind.ROLLBACK, PlanKind.UNDO}
    return moves and plan.target is not None and plan.source == plan.target != walk.facts.serving and not flipped


def _can_go_back(walk: Walk) -> bool:
    """Return whether the former version serves, or was ended for its successor and can be started again."""
    handed = any(step.kind is StepKind.HAND_OVER for step in walk.begun)
    return walk.plan.source is None or _answers(walk, walk.plan.source) or (handed and walk.facts.is_whole(walk.plan.source))


def _answers(walk: Walk, number: int | None) -> bool:
    """Return whether that release passes its probe now: one of its replicas."""
    release = walk.facts.releases.get(number or 0)
    return release is not None and any(_responds(walk, release, one) for one in walk.facts.mains(number))


def _responds(walk: Walk, release: Release, instance: Instance) -> bool:
    try:
        HealthGate(release, instance, walk.services, lambda: None, engine_away=walk.facts.engine_away is not None).quick()
    except DeployctlError:
        return False
    return True
