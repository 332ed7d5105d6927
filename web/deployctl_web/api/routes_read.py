"""The calls that read. They change nothing, and show nothing of apps that the user may not see."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g

from deployctl.dataclass import asdict, replace
from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import NotFound
from deployctl.ports import Services
from deployctl.usecases import views
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.redaction import redact_bundle, redact_lines
from deployctl.usecases.results import Done, Moved, StatusView
from deployctl.usecases.setup.doctor import findings
from deployctl.usecases.view.audit import audit
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.history import history
from deployctl.usecases.view.logs import logs
from deployctl.usecases.view.rejections import refusal_json, refusals
from deployctl.usecases.view.show import show
from deployctl_web.api.endpoint import EndpointAnswer, Json, Models, documented
from deployctl_web.http.downloads import send
from deployctl_web.live.jobs import Job
from deployctl_web.live.status_cache import CachedStatus
from deployctl_web.problems import problem_json, status_of
from deployctl_web.security.authorization import SIGNED_IN, needs, no_such_app
from deployctl_web.server_facts import dashboard_facts
from deployctl_web.state import web_state

if TYPE_CHECKING:
    from deployctl_web.api.request_models import (
        AuditQuery,
        DiffQuery,
        LogsQuery,
        RefusalsQuery,
        RowsQuery,
    )

look = Blueprint("api_look", __name__, url_prefix="/api/v1")
asked, answers = Models("request_models"), Models("response_models")
people, proxy = Models("response_people"), Models("response_proxy")
FRESH_SECONDS = 0.5  # maximum age of a reading in seconds: a program acts on it immediately


# -- apps ---------------------------------------------------------------------------------------------------------------
@look.get("/apps")
@needs(SIGNED_IN)
@documented("List the apps that you may see", answers.Status, more="As `deployctl status -o json`.")
def apps() -> EndpointAnswer:
    seen = web_state().status_cache.home(within=FRESH_SECONDS)
    mine = set(g.who.sees([AppName(one.app) for one in seen.value.apps]))
    return EndpointAnswer(views.status_json(replace(seen.value, apps=tuple(one for one in seen.value.apps if one.app in mine))),
                headers=_age(seen))


@look.get("/apps/<app>")
@needs(Role.VIEWER)
@documented("One app: live version, standby and health", answers.Status, tag=True,
      more="As `deployctl status APP -o json`. The ETag is the revision, for If-Match.")
def app(app: AppName) -> EndpointAnswer:
    seen = web_state().status_cache.whole(app, within=FRESH_SECONDS)
    return EndpointAnswer(views.status_json(seen.value), headers={"ETag": f'"{seen.value.apps[0].revision}"', **_age(seen)})


def _age(seen: CachedStatus[StatusView]) -> Mapping[str, str]:
    """Return how old the reading is, and why there is no newer one when there should be."""
    why = {"Deployctl-Stale": json.dumps(seen.why)[1:-1]} if seen.stale else {}
    return {"Age": str(math.floor(seen.age)), **why}


@look.get("/apps/<app>/history")
@needs(Role.VIEWER)
@documented("Traffic switches: when, by whom and why", answers.History, query=asked.RowsQuery,
            more="As `deployctl history APP -o json`.")
def app_history(app: AppName, query: RowsQuery) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        return views.history_json(history(app, s, limit=query.limit))


@look.get("/apps/<app>/versions/<version>")
@needs(Role.VIEWER)
@documented("One version with its release spec", answers.Shown,
      more="As `deployctl show APP VERSION -o json`. Variables that may be secrets are shown only to admins of the app.")
def app_version(app: AppName, version: Version) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        view = show(app, version, s)
    told = views.show_json(view)
    return told if _sees_secrets(app) else {**told, "bundle": asdict(redact_bundle(view.release.bundle))}


@look.get("/apps/<app>/diff")
@needs(Role.VIEWER)
@documented("Differences between two versions", answers.Diff, query=asked.DiffQuery,
      more="As `deployctl diff APP FROM TO -o json`, secrets hidden as for one version.")
def app_diff(app: AppName, query: DiffQuery) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        view = diff(app, query.before, query.after, s)
    return views.diff_json(view if _sees_secrets(app) else replace(view, lines=tuple(redact_lines(view.lines))))


def _sees_secrets(app: AppName) -> bool:
    return bool(g.who.may(Role.ADMIN, app))


@look.get("/apps/<app>/logs")
@needs(Role.VIEWER)
@documented("Log lines of the containers", answers.Logs, query=asked.LogsQuery, more="As `deployctl logs APP -o json`.")
def app_logs(app: AppName, query: LogsQuery) -> Response:
    def written(s: Services, left: Callable[[], bool]) -> Iterator[str]:
        found = logs(app, query.version, s, release=query.release, tail=query.tail, since=query.since, grep=query.grep,
                     left=left)
        return views.json_pieces({"schema": views.SCHEMA, "kind": "Logs", "app": app}, "lines", map(views.printed_json, found))

    return send(written, what="the log", mimetype="application/json")


@look.get("/apps/<app>/refusals")
@needs(Role.VIEWER)
@documented("HAProxy error responses, with their causes", proxy.Refusals, query=asked.RefusalsQuery,
            more="4xx and 5xx generated by HAProxy instead of the app, oldest first. As `deployctl logs APP --proxy -o json`.")
def app_refusals(app: AppName, query: RefusalsQuery) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        found = refusals(app, s, tail=query.tail, since=query.since, grep=query.grep)
    return {"schema": views.SCHEMA, "kind": "Refusals", "app": app, "lines": [refusal_json(one) for one in found]}


# -- deployments and operations -----------------------------------------------------------------------------------------
@look.get("/apps/<app>/deployments")
@needs(Role.VIEWER)
@documented("Deployments of the app, with their outcomes", answers.Deployments, query=asked.RowsQuery)
def app_deployments(app: AppName, query: RowsQuery) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        found = s.ledger.deployments(app, limit=query.limit)
        if not found:
            require_app(app, s)
    return {"schema": views.SCHEMA, "kind": "Deployments", "app": app, "deployments": [views.deployment_json(d) for d in found]}


@look.get("/deployments/<deployment>")
@needs(SIGNED_IN)
@documented("One deployment, step by step", answers.DeploymentShown)
def one_deployment(deployment: int) -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        found = s.ledger.find_deployment(deployment)
        if found is None or not g.who.may(Role.VIEWER, found.app):
            raise NotFound("there is no such deployment here.")
        return {"schema": views.SCHEMA, "kind": "Deployment", "app": found.app,
                "deployment": views.deployment_json(found), "steps": _steps(deployment, s)}


def _steps(deployment: int, s: Services) -> list[dict[str, Any]]:
    return [{"kind": row["kind"], "release": row["release"], "summary": row["sentence"], "begun_at": row["begun_at"],
             "finished_at": row["finished_at"], "ok": None if row["ok"] is None else bool(row["ok"]),
             "duration_ms": row["ms"], "message": row["text"] or ""} for row in s.ledger.steps(deployment)]


@look.get("/operations/<operation>")
@needs(SIGNED_IN)
@documented("Progress and result of an operation", answers.Operation,
      more="The last 200 operations of this server process. Deployments are kept permanently.")
def one_operation(operation: str) -> Json:
    job = web_state().jobs.find(operation)
    if job is None or not g.who.may(Role.VIEWER, job.app):
        raise NotFound("no such operation, or the server was restarted since.",
                       remedy=["list the deployments of the app"])
    return operation_json(job)


def operation_json(job: Job) -> Json:
    """Return the operation as it is now: once done it has a result or an error, never both."""
    done, error = job.done, job.error
    return {"schema": views.SCHEMA, "kind": "Operation", "id": job.id, "app": job.app, "action": job.verb, "actor": job.actor,
            "started_at": job.started_at, "deployment": job.deployment, "done": done, "step": job.step, "detail": job.detail,
            "ended_at": job.ended_at if done else None,
            "result": outcome_json(job.result) if done and job.result is not None else None,
            "error": problem_json(error, status_of(error)) if done and error is not None else None}


def outcome_json(outcome: Moved | Done) -> Json:
    return views.moved_json(outcome) if isinstance(outcome, Moved) else views.done_json(outcome)


# -- the whole server ---------------------------------------------------------------------------------------------------
@look.get("/audit")
@needs(SIGNED_IN)
@documented("Audit log, newest first", people.Audit, query=asked.AuditQuery,
      more="As `deployctl audit -o json`. Entries about users, tokens and the server are shown only to server admins.")
def audit_lines(query: AuditQuery) -> Json:
    if query.app is not None and not g.who.may(Role.VIEWER, query.app):
        raise no_such_app()
    with web_state().pool.lend(g.who.actor) as s:
        among = None if g.who.may(Role.ADMIN, None) else g.who.sees([one.name for one in s.ledger.apps()])
        return views.audit_json(audit(s, app=query.app, user=query.user, kind=query.kind, limit=query.limit,
                                      before=query.before, among=among))


@look.get("/server")
@needs(Role.VIEWER)
@documented("System checks, and resource use of the dashboard", people.ServerChecks,
            more="As `deployctl doctor -o json`, and beside it `dashboard`: this process, its connections and its memory.")
def server() -> Json:
    with web_state().pool.lend(g.who.actor) as s:
        return {**views.findings_json(findings(s)), "dashboard": asdict(dashboard_facts(s))}


@look.get("/openapi.json")
@needs(SIGNED_IN)
@documented("This OpenAPI document", None)
def openapi() -> Response:
    from deployctl_web.api.openapi import document

    return Response(json.dumps(document()) + "\n", content_type="application/json")
