"""Finish or take back what a process left open when it died: go by what HAProxy says, twice changes nothing."""

from __future__ import annotations

import json

from deployctl.actions import ACTIONS, UNDOS
from deployctl.domain.deployment import Deployment, Phase
from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName
from deployctl.domain.plan import Plan, Step, StepKind
from deployctl.errors import DeployctlError, Interrupted
from deployctl.ports import Services
from deployctl.prove import ask_from_outside
from deployctl.runner import Walk, retire_rest, revert
from deployctl.usecases.observe import observe


def recover(app: AppName, s: Services, token: int) -> str | None:
    """Settle the app's open deployment, if there is one: its holder is dead, because the lease is ours.

    Forward when HAProxy already sends the traffic to a target that answers; back otherwise. Return what was done.
    """
    opened = s.ledger.find_open(app)
    if opened is None or not s.ledger.find_app(app):
        return None
    walk = _rebuilt(opened, observe(app, s), s, token)
    if _is_promoted(opened):
        retire_rest(walk, ACTIONS)
        told = "finished"
    elif _moved(walk) and _answers(walk):
        ACTIONS[StepKind.PROMOTE](walk, Step(StepKind.PROMOTE, walk.plan.target or 0, "promote what HAProxy serves"))
        retire_rest(walk, ACTIONS)
        told = "finished: HAProxy had switched already"
    else:
        revert(walk, UNDOS, Interrupted("the process that ran it died"))
        told = "taken back: its process died before the traffic had moved"
    sentence = f"an interrupted {opened.kind} of {app} was {told}"
    s.ledger.event("recovered", sentence, at=s.clock.utc(), actor=s.actor, app=app, data={"deployment": opened.id})
    s.report.warn(sentence)
    return sentence


def _rebuilt(opened: Deployment, facts: Facts, s: Services, token: int) -> Walk:
    plan = Plan.from_dict(json.loads(s.ledger.plan_of(opened.id)))
    rows = s.ledger.steps(opened.id)
    begun = [Step(StepKind(row["kind"]), row["release"], row["sentence"]) for row in rows]
    return Walk(plan, facts, opened, s, token, begun=begun, seq=len(rows), phase=opened.phase,
                promoted=_is_promoted(opened), switched=any(step.kind is StepKind.SWITCH for step in begun))


def _is_promoted(opened: Deployment) -> bool:
    return opened.phase is Phase.DRAINING


def _moved(walk: Walk) -> bool:
    return walk.switched and walk.facts.serving == walk.plan.target and walk.plan.target is not None


def _answers(walk: Walk) -> bool:
    """Tell whether the target that HAProxy sends traffic to answers its probe."""
    release = walk.facts.releases.get(walk.plan.target or 0)
    instance = walk.facts.instances.get(walk.plan.target or 0)
    if release is None or instance is None:
        return False
    try:
        return ask_from_outside(walk.services, release, instance).ok
    except DeployctlError:
        return False
