"""Results as JSON objects of schema deployctl/v1: the only place that creates them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deployctl.dataclass import asdict
from deployctl.domain.images.image_source import image_sentence

if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.plan import Step
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.change.status_note import StatusNote
    from deployctl.domain.host.access import SignIn, Token, User
    from deployctl.domain.images.image_source import ImageNews
    from deployctl.domain.images.release import Release
    from deployctl.errors import DeployctlError
    from deployctl.usecases.results import (
        AppView,
        AuditLine,
        ConfigState,
        DiffView,
        Done,
        Finding,
        HistoryView,
        InstanceView,
        Moved,
        Preview,
        Reconciled,
        ReleaseView,
        StatusView,
    )
    from deployctl.usecases.view.logs import Printed

SCHEMA = "deployctl/v1"
Json = dict[str, Any]


def status_json(view: StatusView) -> Json:
    return {"schema": SCHEMA, "kind": "Status", "apps": [app_json(app) for app in view.apps],
            "engine": view.engine, "engine_code": view.engine_code, "proxy": view.proxy, "proxy_code": view.proxy_code}


def app_json(app: AppView) -> Json:
    return {
        "app": app.app, "address": app.address, "hosts": list(app.hosts), "revision": app.revision, "state": app.state,
        "active": instance_json(app.active), "standby": instance_json(app.standby),
        "instances": [instance_json(i) for i in app.instances], "deployment": app.deployment, "since": app.since,
        "notes": [one.line for one in app.notes], "notices": [_note_json(one) for one in app.notes],
        "drift": list(app.drift), "quality": app.quality,
        "drifts": [{"code": one.kind, "release": one.release, "summary": one.sentence} for one in app.drifts],
        "rollback": _way_back_json(app), "config": _config_json(app.config),
    }


def _note_json(note: StatusNote) -> Json:
    return {"code": note.code, "version": note.version, "release": note.release, "message": note.line}


def _config_json(state: ConfigState | None) -> Json | None:
    return None if state is None else {
        "code": state.code, "why": state.why or None, "differences": [asdict(line) for line in state.lines]}


def _way_back_json(app: AppView) -> Json | None:
    if app.back is None:
        return None
    return {"version": app.back, "release": app.back_release, "name": app.back_name, "warm": app.back_warm,
            "brings_back": list(app.brings_back), **(readiness_json(app.way_back) or {})}


def instance_json(view: InstanceView | None) -> Json | None:
    return None if view is None else {
        **_renamed(asdict(view), said="probe_message"), "readiness": readiness_json(view.readiness)}


def _renamed(fields: Json, **names: str) -> Json:
    """Return the fields in order, some under the names that programs know."""
    return {names.get(name, name): value for name, value in fields.items()}


def readiness_json(one: Readiness | None) -> Json | None:
    return None if one is None else {
        "ready": one.ready, "how": one.how, "why": one.why, "code": one.code, "seconds": one.seconds}


def moved_json(moved: Moved) -> Json:
    return {
        "schema": SCHEMA, "kind": moved.kind, "ok": True, "app": moved.app, "from": moved.source, "to": moved.target,
        "from_release": moved.source_release, "to_release": moved.target_release,
        "revision": moved.revision, "switch_ms": moved.switch_ms, "total_ms": moved.total_ms,
        "confirmed": moved.confirmed, "failed_requests": moved.failed_requests,
        "failed_precision": moved.failed_precision, "changed": moved.changed,
        "colour": moved.colour, "image_checked": moved.image_checked,
        "held": list(moved.held), "lifted": list(moved.lifted), "standby": moved.standby,
        "warnings": list(moved.warnings), "steps": [asdict(step) for step in moved.steps],
        "image": image_json(moved.image), "taken_over": [asdict(line) for line in moved.taken_over],
    }


def image_json(news: ImageNews | None) -> Json | None:
    """Return what a registry reported of the image: `code` is tag_moved, to_pull, unverified or only_here."""
    return None if news is None else {
        "code": news.code, "reference": news.reference, "from_digest": news.before, "to_digest": news.after,
        "why": news.why or None, "message": image_sentence(news)}


def done_json(done: Done) -> Json:
    return {"schema": SCHEMA, "kind": done.kind, "ok": True, "app": done.app, "changed": done.changed,
            "summary": done.sentence, "details": list(done.details), **done.extra,
            **({"image": image_json(done.image)} if done.image else {})}


def history_json(view: HistoryView) -> Json:
    return {
        "schema": SCHEMA, "kind": "History", "app": view.app,
        "changes": [
            {"revision": c.revision, "at": c.at, "action": c.kind, "from_version": line.source, "to_version": line.target,
             "from_release": c.source, "to_release": c.target, "actor": c.actor, "switch_ms": c.switch_ms, "note": c.note}
            for line in view.lines for c in [line.change]
        ],
        "attempts": [deployment_json(d) for d in view.attempts],
        "releases": [{"version": one.version, "release": one.release, "readiness": readiness_json(one)}
                     for one in view.readiness],
    }


def deployment_json(d: Deployment | None) -> Json | None:
    if d is None:
        return None
    return {"id": d.id, "action": d.kind, "from_release": d.source, "to_release": d.target, "phase": str(d.phase),
            "actor": d.actor, "note": d.note, "started_at": d.started_at, "finished_at": d.finished_at,
            "error": d.error, "error_code": d.error_code, "cause": d.cause, "evidence": list(d.evidence)}


def show_json(view: ReleaseView) -> Json:
    return {"schema": SCHEMA, "kind": "Release", "app": view.app, **release_json(view.release), "role": view.role,
            "instance": instance_json(view.instance), "last_deployment": deployment_json(view.last),
            "siblings": list(view.siblings), "readiness": readiness_json(view.readiness)}


def release_json(release: Release) -> Json:
    return {"version": release.version, "release": release.number, "digest": release.digest,
            "colour": release.colour, "created_at": release.created_at, "proven_at": release.proven_at,
            "failure": release.failure, "failure_code": release.failure_code,
            "hold": asdict(release.hold) if release.hold else None,
            "bundle": asdict(release.bundle), "bundle_hash": release.bundle.hash(), "cap_drop": list(release.cap_drop)}


def json_pieces(head: Mapping[str, Any], name: str, entries: Iterable[Mapping[str, Any]],
                dumps: Callable[[Mapping[str, Any]], str] = json.dumps) -> Iterator[str]:
    """Yield the JSON text, in one line, of `head` followed by the list `name`, without ever holding that list. An error
    in reading its first entry is raised before anything is yielded."""
    rest = iter(entries)
    first = next(rest, None)
    yield dumps({**head, name: [first] if first else []})[:-2]
    yield from (f", {dumps(one)}" for one in rest)
    yield "]}\n"


def printed_json(one: Printed) -> Json:
    return {"version": one.version, "release": one.release, "at": one.line.at, "stream": one.line.stream,
            "message": one.line.text}


def diff_json(view: DiffView) -> Json:
    return {"schema": SCHEMA, "kind": "Diff", "app": view.app,
            "from": {"version": view.before.version, "release": view.before.number},
            "to": {"version": view.after.version, "release": view.after.number},
            "differences": [asdict(line) for line in view.lines]}


def preview_json(view: Preview) -> Json:
    plan = view.plan
    return {"schema": SCHEMA, "kind": "Plan", "app": plan.app, "plan": plan.kind, "from_release": plan.source,
            "to_release": plan.target, "warm": plan.warm, "summary": plan.summary,
            "steps": [_step_json(step) for step in plan.steps], "changes": [asdict(line) for line in view.changes],
            "restores": list(view.restores),
            "warnings": list(view.warnings), "image": image_json(view.image)}


def _step_json(step: Step) -> Json:
    return {"kind": step.kind, "release": step.release, "sentence": step.sentence}


def findings_json(findings: Sequence[Finding]) -> Json:
    return {"schema": SCHEMA, "kind": "Doctor", "ok": all(f.ok or not f.fatal for f in findings),
            "findings": [asdict(f) for f in findings]}


def reconciled_json(found: Reconciled) -> Json:
    return {"schema": SCHEMA, "kind": "Reconcile", "ok": found.dry_run or not found.left, "changed": found.changed,
            "dry_run": found.dry_run, "lines": [_renamed(asdict(line), sentence="summary") for line in found.lines]}


# -- users, tokens, and what they did ------------------------------------------------------------------------------------
def user_json(user: User, *, sentence: str = "", link: str | None = None, until: str | None = None) -> Json:
    """Return one user. `link` signs the user in once, before `until`; it is shown this once."""
    told = {"link": {"url": link, "expires_at": until}} if link else {}
    return {"schema": SCHEMA, "kind": "User", "ok": True, **user_fields(user), "summary": sentence, **told}


def user_fields(user: User) -> Json:
    return {"name": user.name, "roles": dict(user.roles), "password": user.password is not None,
            "created_at": user.created_at, "created_by": user.created_by}


def users_json(users: Sequence[User], sessions: Sequence[SignIn]) -> Json:
    """Return all users; `sessions` are all active ones."""
    return {"schema": SCHEMA, "kind": "Users", "users": [
        {**user_fields(user), "sessions": sum(one.user == user.name for one in sessions)} for user in users]}


def sessions_json(user: str, sessions: Sequence[SignIn]) -> Json:
    return {"schema": SCHEMA, "kind": "Sessions", "user": user, "sessions": [
        {name: text for name, text in asdict(one).items() if name not in {"user", "ended_at"}} for one in sessions]}


def token_json(token: Token, *, now: str, secret: str | None = None) -> Json:
    """Return one token. `secret` is shown once, right after it was created."""
    told = {"secret": secret} if secret else {}
    return {"schema": SCHEMA, "kind": "Token", "ok": True, **token_fields(token, now=now), **told}


def token_fields(token: Token, *, now: str) -> Json:
    return {**asdict(token), "roles": dict(token.roles), "state": token.state(now)}


def tokens_json(tokens: Sequence[Token], *, now: str) -> Json:
    return {"schema": SCHEMA, "kind": "Tokens", "tokens": [token_fields(token, now=now) for token in tokens]}


def audit_json(lines: Sequence[AuditLine]) -> Json:
    return {"schema": SCHEMA, "kind": "Audit", "entries": [asdict(line) for line in lines]}


def error_json(error: DeployctlError) -> Json:
    return {"schema": SCHEMA, "ok": False,
            "error": {"code": error.code, "cause": error.cause, "message": error.message, "remedy": error.remedy,
                      "details": error.details},
            "serving": error.serving}
