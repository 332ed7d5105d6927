"""The calls that read. They change nothing, and show nothing of apps that the user may not see."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from flask import Blueprint, Response, g

from deployctl.dataclass import dataclass, replace
from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import NotFound
from deployctl.ports import Services
from deployctl.usecases.listings import (
    AuditLog,
    DeploymentList,
    DeploymentSteps,
    Findings,
    LogLines,
    RejectionList,
    find_deployment,
    list_deployments,
    no_such_deployment,
)
from deployctl.usecases.redaction import redact_bundle, redact_lines
from deployctl.usecases.release_view import ReleaseView
from deployctl.usecases.results import DiffView, Done, HistoryView, Moved, StatusView
from deployctl.usecases.setup.doctor import findings
from deployctl.usecases.view.audit import audit
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.history import history
from deployctl.usecases.view.logs import logs
from deployctl.usecases.view.rejections import refusals
from deployctl.usecases.view.show import show
from deployctl.usecases.views import as_json, json_pieces
from deployctl_web.api.endpoint import EndpointAnswer, Models, documented
from deployctl_web.http.downloads import send
from deployctl_web.live.jobs import Job
from deployctl_web.live.status_cache import CachedStatus
from deployctl_web.problems import Problem, problem_of, status_of
from deployctl_web.security.authorization import SIGNED_IN, needs, no_such_app
from deployctl_web.server_facts import ServerChecks, dashboard_facts
from deployctl_web.state import web_state

if TYPE_CHECKING:
    from deployctl.domain.inputs.units import At
    from deployctl_web.api.request_models import (
        AuditQuery,
        DiffQuery,
        LogsQuery,
        RefusalsQuery,
        RowsQuery,
    )

look = Blueprint("api_look", __name__, url_prefix="/api/v1")
asked = Models("request_models")
PRIVATE = frozenset({"run", "exec"})  # what a command printed is for those who may run one
FRESH_SECONDS = 0.5  # maximum age of a reading in seconds: a program acts on it immediately


@dataclass(frozen=True, slots=True)
class Operation:
    """A change that takes long. Once done it has a result or an error."""

    id: str
    app: Annotated[str, AppName]
    action: str
    actor: str
    started_at: At
    deployment: int | None
    done: bool
    step: str
    detail: str
    ended_at: At | None
    result: Moved | Done | None
    error: Problem | None


# -- apps ---------------------------------------------------------------------------------------------------------------
@look.get("/apps")
@needs(SIGNED_IN)
@documented("List the apps that you may see", StatusView, more="As `deployctl status -o json`.")
def apps() -> EndpointAnswer:
    seen = web_state().status_cache.home(within=FRESH_SECONDS)
    mine = set(g.who.sees([AppName(one.app) for one in seen.value.apps]))
    return EndpointAnswer(replace(seen.value, apps=tuple(one for one in seen.value.apps if one.app in mine)),
                headers=_age(seen))


@look.get("/apps/<app:app>")
@needs(Role.VIEWER)
@documented("One app: live version, standby and health", StatusView, tag=True,
      more="As `deployctl status APP -o json`. The ETag is the revision, for If-Match.")
def app(app: AppName) -> EndpointAnswer:
    seen = web_state().status_cache.whole(app, within=FRESH_SECONDS)
    return EndpointAnswer(seen.value, headers={"ETag": f'"{seen.value.apps[0].revision}"', **_age(seen)})


def _age(seen: CachedStatus[StatusView]) -> Mapping[str, str]:
    """Return how old the reading is, and why there is no newer one when there should be."""
    why = {"Deployctl-Stale": json.dumps(seen.why)[1:-1]} if seen.stale else {}
    return {"Age": str(math.floor(seen.age)), **why}


@look.get("/apps/<app:app>/history")
@needs(Role.VIEWER)
@documented("Traffic switches: when, by whom and why", HistoryView, query=asked.RowsQuery,
            more="As `deployctl history APP -o json`.")
def app_history(app: AppName, query: RowsQuery) -> HistoryView:
    with web_state().pool.lend(g.who.actor) as s:
        return history(app, s, limit=query.limit)


@look.get("/apps/<app:app>/versions/<version>")
@needs(Role.VIEWER)
@documented("One version with its release spec", ReleaseView,
      more="As `deployctl show APP VERSION -o json`. Variables that may be secrets are shown only to admins of the app.")
def app_version(app: AppName, version: Version) -> ReleaseView | EndpointAnswer:
    with web_state().pool.lend(g.who.actor) as s:
        view = show(app, version, s)
    return view if _sees_secrets(app) else EndpointAnswer(_without_secrets(view))


def _without_secrets(view: ReleaseView) -> dict[str, Any]:
    return {**as_json(view), "bundle": redact_bundle(view.release.bundle),
            "components": [as_json(replace(one, bundle=redact_bundle(one.bundle))) for one in view.components]}


@look.get("/apps/<app:app>/diff")
@needs(Role.VIEWER)
@documented("Differences between two versions", DiffView, query=asked.DiffQuery,
      more="As `deployctl diff APP FROM TO -o json`, secrets hidden as for one version.")
def app_diff(app: AppName, query: DiffQuery) -> DiffView:
    with web_state().pool.lend(g.who.actor) as s:
        view = diff(app, query.before, query.after, s)
    return view if _sees_secrets(app) else replace(view, lines=tuple(redact_lines(view.lines)))


def _sees_secrets(app: AppName) -> bool:
    return bool(g.who.may(Role.ADMIN, app))


@look.get("/apps/<app:app>/logs")
@needs(Role.VIEWER)
@documented("Log lines of the containers", LogLines, query=asked.LogsQuery, more="As `deployctl logs APP -o json`.")
def app_logs(app: AppName, query: LogsQuery) -> Response:
    def written(s: Services, left: Callable[[], bool]) -> Iterator[str]:
        found = logs(app, query.version, s, release=query.release, tail=query.tail, since=query.since, grep=query.grep,
                     left=left)
        return json_pieces(as_json(LogLines(app, ())), "lines", map(as_json, found))

    return send(written, what="the log", mimetype="application/json")


@look.get("/apps/<app:app>/refusals")
@needs(Role.VIEWER)
@documented("HAProxy error responses, with their causes", RejectionList, query=asked.RefusalsQuery,
            more="4xx and 5xx generated by HAProxy instead of the app, oldest first. As `deployctl logs APP --proxy -o json`.")
def app_refusals(app: AppName, query: RefusalsQuery) -> RejectionList:
    with web_state().pool.lend(g.who.actor) as s:
        return RejectionList(app, refusals(app, s, tail=query.tail, since=query.since, grep=query.grep))


# -- deployments and operations -----------------------------------------------------------------------------------------
@look.get("/apps/<app:app>/deployments")
@needs(Role.VIEWER)
@documented("Deployments of the app, with their outcomes", DeploymentList, query=asked.RowsQuery)
def app_deployments(app: AppName, query: RowsQuery) -> DeploymentList:
    with web_state().pool.lend(g.who.actor) as s:
        return list_deployments(app, s, limit=query.limit)


@look.get("/deployments/<deployment>")
@needs(SIGNED_IN)
@documented("One deployment, step by step", DeploymentSteps)
def one_deployment(deployment: int) -> DeploymentSteps:
    with web_state().pool.lend(g.who.actor) as s:
        found = find_deployment(deployment, s)
    if not g.who.may(Role.VIEWER, found.app):
        raise no_such_deployment()
    return found


@look.get("/operations/<operation>")
@needs(SIGNED_IN)
@documented("Progress and result of an operation", Operation,
      more="The last 200 operations of this server process. Deployments are kept permanently.")
def one_operation(operation: str) -> Operation:
    job = web_state().jobs.find(operation)
    needed = Role.ADMIN if job and job.verb in PRIVATE else Role.VIEWER
    if job is None or not g.who.may(needed, job.app):
        raise NotFound("no such operation, or the server was restarted since.",
                       remedy=["list the deployments of the app"])
    return operation_of(job)


def operation_of(job: Job) -> Operation:
    """Return the operation as it is now: once done it has a result or an error, never both."""
    done, error = job.done, job.error
    return Operation(
        job.id, job.app, job.verb, job.actor, job.started_at, job.deployment, done, job.step, job.detail,
        ended_at=job.ended_at if done else None, result=job.result if done else None,
        error=problem_of(error, status_of(error)) if done and error is not None else None)


# -- the whole server ---------------------------------------------------------------------------------------------------
@look.get("/audit")
@needs(SIGNED_IN)
@documented("Audit log, newest first", AuditLog, query=asked.AuditQuery,
      more="As `deployctl audit -o json`. Entries about users, tokens and the server are shown only to server admins.")
def audit_lines(query: AuditQuery) -> AuditLog:
    if query.app is not None and not g.who.may(Role.VIEWER, query.app):
        raise no_such_app()
    with web_state().pool.lend(g.who.actor) as s:
        among = None if g.who.may(Role.ADMIN, None) else g.who.sees([one.name for one in s.ledger.apps()])
        return AuditLog(audit(s, app=query.app, user=query.user, kind=query.kind, limit=query.limit,
                                      before=query.before, among=among))


@look.get("/server")
@needs(Role.VIEWER)
@documented("System checks, and resource use of the dashboard", ServerChecks,
            more="As `deployctl doctor -o json`, and beside it `dashboard`: this process, its connections and its memory.")
def server() -> ServerChecks:
    with web_state().pool.lend(g.who.actor) as s:
        return ServerChecks(Findings(tuple(findings(s))), dashboard_facts(s))


@look.get("/openapi.json")
@needs(SIGNED_IN)
@documented("This OpenAPI document", None)
def openapi() -> Response:
    from deployctl_web.api.openapi import document

    return Response(json.dumps(document()) + "\n", content_type="application/json")
