"""The calls that change an app: each says which verb it means, and answers as the command line does."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from deployctl.domain.host.access import Role
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import Wish
from deployctl_web.api import response_models as answers
from deployctl_web.api.endpoint import Told, documented
from deployctl_web.api.headers import wait_for
from deployctl_web.api.request_models import (
    HoldBody,
    Nothing,
    PruneBody,
    RemarkBody,
    RollbackBody,
    StartBody,
    StopBody,
    UndoBody,
    UpgradeBody,
)
from deployctl_web.api.routes_read import operation_json, outcome_json
from deployctl_web.live.jobs import Job
from deployctl_web.operations import Words, perform
from deployctl_web.security.authorization import needs

move = Blueprint("api_move", __name__, url_prefix="/api/v1")
DEPLOYER = needs(Role.DEPLOYER)


@move.post("/apps/<app>/upgrade")
@DEPLOYER
@documented("Make a version serve", answers.Moved, body=UpgradeBody, moves=True, at_revision=True, job=True,
      more="Boots it beside the active one, proves it, and moves the traffic. Before the switch every failure changes nothing.")
def upgrade(app: AppName, body: UpgradeBody, revision: int | None) -> Told:
    words = Words(body.version, image=body.image, env=body.env, pull=_pull(body.pull))
    return _do("upgrade", app, words, _wish(body, revision))


@move.post("/apps/<app>/rollback")
@DEPLOYER
@documented("Go back to an earlier version", answers.Moved, body=RollbackBody, moves=True, at_revision=True, job=True,
      unlimited=True, more="To a warm version that is done when it is answered, in well under a second. The version that is "
                           "left is put on hold: it will not be deployed again by accident.")
def rollback(app: AppName, body: RollbackBody, revision: int | None) -> Told:
    return _do("rollback", app, Words(body.to, body.release, abort=body.abort), _wish(body, revision))


@move.post("/apps/<app>/undo")
@DEPLOYER
@documented("Reverse the last change of traffic, and the hold that it made", answers.Moved, body=UndoBody, moves=True,
      at_revision=True, job=True, unlimited=True)
def undo(app: AppName, body: UndoBody, revision: int | None) -> Told:
    return _do("undo", app, Words(), _wish(body, revision))


@move.post("/apps/<app>/abort")
@DEPLOYER
@documented("Stop what is under way", answers.Done, body=Nothing, job=True, unlimited=True,
      more="Before its switch everything is taken back; after it nothing is.")
def abort(app: AppName, body: Nothing) -> Told:
    return _do("abort", app, Words(), Wish())


@move.post("/apps/<app>/start")
@DEPLOYER
@documented("Run a version beside the one that serves, without traffic", answers.Done, body=StartBody, at_revision=True,
            job=True)
def start(app: AppName, body: StartBody, revision: int | None) -> Told:
    return _do("start", app, Words(body.version, image=body.image, pull=_pull(body.pull)), _wish(body, revision))


@move.post("/apps/<app>/stop")
@DEPLOYER
@documented("Stop a version; its container is kept", answers.Done, body=StopBody, moves=True, at_revision=True, job=True,
      more="The one that serves is stopped only with `sure`: visitors then get 503.")
def stop(app: AppName, body: StopBody, revision: int | None) -> Told:
    return _do("stop", app, Words(body.version), _wish(body, revision))


@move.post("/apps/<app>/hold")
@DEPLOYER
@documented("Keep a version from being deployed again", answers.Done, body=HoldBody, at_revision=True, job=True)
def hold(app: AppName, body: HoldBody, revision: int | None) -> Told:
    return _do("hold", app, Words(body.version), _wish(body, revision))


@move.post("/apps/<app>/unhold")
@DEPLOYER
@documented("Lift the hold of a version", answers.Done, body=HoldBody, at_revision=True, job=True)
def unhold(app: AppName, body: HoldBody, revision: int | None) -> Told:
    return _do("unhold", app, Words(body.version), _wish(body, revision))


@move.post("/apps/<app>/prune")
@DEPLOYER
@documented("Remove what retention does not keep", answers.Done, body=PruneBody, at_revision=True, job=True,
      more="Never what serves, stays warm, or can be rolled back to next.")
def prune(app: AppName, body: PruneBody, revision: int | None) -> Told:
    return _do("prune", app, Words(), _wish(body, revision))


@move.post("/apps/<app>/remark")
@DEPLOYER
@documented("Tell afterwards why the traffic was moved", answers.Done, body=RemarkBody, at_revision=True, job=True,
      more="The reason is put beside the last change; `If-Match` names the one that is meant.")
def remark(app: AppName, body: RemarkBody, revision: int | None) -> Told:
    return _do("remark", app, Words(), _wish(body, revision))


def _wish(body: Any, revision: int | None) -> Wish:
    return Wish(body.note, if_revision=revision, confirmed=getattr(body, "sure", False))


def _pull(word: str | None) -> PullPolicy | None:
    return PullPolicy(word) if word else None


def _do(verb: str, app: AppName, words: Words, wish: Wish) -> Told:
    """Do it, wait for its end as long as was asked, and tell the end or where it can be asked for."""
    outcome = perform(verb, app, words, wish)
    if not isinstance(outcome, Job):
        return _done(outcome)
    if wait_for(outcome):
        return _done(outcome.outcome())
    return Told(operation_json(outcome), 202, {"Location": f"/api/v1/operations/{outcome.id}"})


def _done(outcome: Moved | Done) -> Told:
    tag = {"ETag": f'"{outcome.revision}"'} if isinstance(outcome, Moved) else {}
    return Told(outcome_json(outcome), headers=tag)
