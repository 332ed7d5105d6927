"""One example of each response, and the meaning of each error status. A test parses them with the models."""

from __future__ import annotations

from typing import Any

from deployctl.usecases.views import SCHEMA, Json

AT, LATER = "2026-01-01T12:00:00.000Z", "2026-01-01T12:15:00.000Z"
_DIGEST = "sha256:" + "4f" * 32


def _instance(version: str, release: int, **more: Any) -> Json:
    return {
        "version": version, "release": release, "role": "active", "port": 20000 + release,
        "address": f"172.30.0.{release + 1}", "health": "passing", "health_reason": None, "weight": 100,
        "container": "c0" * 32, "colour": "green", "digest": _DIGEST,
        "held": False, "warm": False, "probe_message": "GET /healthz gave 200", "probe_ms": 1.9, "status": "running",
        "requests": 51234, "in_flight": 3, "failed_requests": 0, "failed_precision": "exact",
        "closed_connections": 0, "answers_5xx": 1,
        "response_ms": 12.4, "since": AT, "readiness": None, **more,
    }  # fmt: skip


_READY: Json = {"ready": True, "how": "warm", "why": None, "code": None, "seconds": 0.0}
_ACTIVE = _instance("v2", 2)
_STANDBY = _instance("v1", 1, role="standby", weight=0, colour="blue", warm=True, in_flight=0, since=None, readiness=_READY)
_DEPLOYMENT: Json = {
    "id": 7, "action": "upgrade", "from_release": 1, "to_release": 2, "phase": "succeeded", "actor": "ci-shop (token)",
    "note": "faster search", "started_at": AT, "finished_at": LATER, "error": None, "error_code": None,
    "cause": None, "evidence": [],
}  # fmt: skip
_PERSON: Json = {"name": "mara", "roles": {"shop": "deployer"}, "password": False, "created_at": AT, "created_by": "root (cli)"}
_TOKEN: Json = {
    "id": 4, "name": "ci-shop", "roles": {"shop": "deployer"}, "created_at": AT, "created_by": "mara (web)", "owner": "mara",
    "expires_at": "2026-04-01T12:00:00.000Z", "used_at": None, "used_from": None, "revoked_at": None, "state": "in_use",
}  # fmt: skip


def _of(kind: str, **members: Any) -> Json:
    return {"schema": SCHEMA, "kind": kind, **members}


_MOVED = _of("Rollback", ok=True, app="shop", **{"from": "v2"}, to="v1", from_release=2, to_release=1, revision=119,
             switch_ms=14.2, total_ms=88.0,
             confirmed=True, failed_requests=0, failed_precision="exact", changed=True, colour="blue", held=["v2"], lifted=[],
             standby="v2", image_checked=True, warnings=[], steps=[
                 {"kind": "switch", "sentence": "switch traffic of shop to v1", "ms": 14.2, "message": ""}], image=None,
             taken_over=[])

EXAMPLES: dict[str, Json] = {
    "Status": _of("Status", engine=None, engine_code=None, proxy=None, proxy_code=None, apps=[{
        "app": "shop", "address": "127.0.0.1:8000", "hosts": [], "revision": 118, "state": "healthy", "active": _ACTIVE,
        "standby": _STANDBY, "instances": [_ACTIVE, _STANDBY], "deployment": None, "since": AT, "notes": [], "notices": [],
        "drift": [],
        "drifts": [], "quality": None, "rollback": {
            "version": "v1", "release": 1, "name": "v1", "warm": True, **_READY,
            "brings_back": ["image acme/shop:v1 (1f2e3d4c5b6a)"]},
        "config": {"code": "changed_not_deployed", "why": None, "differences": [
            {"group": "env", "sign": "~", "name": "WORKERS", "before": "2", "after": "4"}]}}]),
    "History": _of("History", app="shop", changes=[{
        "revision": 118, "at": AT, "action": "upgrade", "from_version": "v1", "to_version": "v2",
        "from_release": 1, "to_release": 2, "actor": "ci-shop (token)", "switch_ms": 14.2, "note": "faster search"}],
        attempts=[],
        releases=[{"version": "v1", "release": 1, "readiness": _READY}]),
    "Diff": _of("Diff", app="shop", **{"from": {"version": "v1", "release": 1}}, to={"version": "v2", "release": 2},
                differences=[{"group": "env", "sign": "~", "name": "WORKERS", "before": "2", "after": "4"}]),
    "Logs": _of("Logs", app="shop", lines=[{
        "version": "v2", "release": 2, "at": AT, "stream": "stdout", "message": "listening on 8080"}]),
    "Refusals": _of("Refusals", app="shop", lines=[{
        "at": AT, "app": "shop", "release": None, "status": 400, "cause": "bad_request", "client": "192.0.2.7:41822",
        "method": "", "host": "", "path": "", "detail": "HAProxy stopped at byte 6 of “GET /k\\xC3\\xBCche”",
        "gate": False, "text": "400 bad_request  a request that could not be read: not a valid HTTP/1.1 request"}]),
    "Deployments": _of("Deployments", app="shop", deployments=[_DEPLOYMENT]),
    "DeploymentShown": _of("Deployment", app="shop", deployment=_DEPLOYMENT, steps=[{
        "kind": "start", "release": 2, "summary": "start shop v2 on port 20002", "begun_at": AT, "finished_at": AT,
        "ok": True, "duration_ms": 310.0, "message": ""}]),
    "Moved": _MOVED,
    "Done": _of("Hold", ok=True, app="shop", changed=True, summary="shop v3 is on hold: it will not be deployed again",
                details=["Release it: deployctl unhold shop v3"]),
    "Operation": _of("Operation", id="9f2c1a7be0d34c55", app="shop", action="upgrade", actor="ci-shop (token)", started_at=AT,
                     ended_at=None, deployment=7, done=False, step="wait until shop v3 is healthy",
                     detail="1 of 3 probes passed", result=None, error=None),
    "ServerChecks": _of("Doctor", ok=True, findings=[{
        "name": "engine", "ok": True, "message": "Docker 27.3, API 1.47, amd64", "fix": None, "fatal": True, "code": None}],
        dashboard={
            "version": "0.2.0", "process": 4711, "home": "/srv/deploy", "address": "http://127.0.0.1:8900",
            "listens": "127.0.0.1:8900", "apps": 3, "network_pool": "172.30.0.0/16", "host_ports": [20000, 27999],
            "containers_reached_by": "address", "connections": {
                "open": {"signed_in": 2, "others": 1}, "refused": {"no_room": 0, "ambiguous_request": 1},
                "streams_displaced": 0},
            "memory": [{"name": "status cache", "most": 33554432, "bytes": 51200}]}),
    "Audit": _of("Audit", entries=[{
        "id": 311, "at": AT, "who": "mara", "how": "web", "address": "127.0.0.1", "app": "shop", "what": "rollback",
        "summary": "rollback: v2 → v1", "before": 118, "after": 119, "note": "the cart page fails", "result": "done"}]),
    "Users": _of("Users", users=[{**_PERSON, "sessions": 1}]),
    "User": _of("User", ok=True, **_PERSON, summary="mara can sign in as deployer of shop",
                link={"url": "http://127.0.0.1:8900/start/7hQ2", "expires_at": LATER}),
    "Sessions": _of("Sessions", user="mara", sessions=[{
        "id": 3, "created_at": AT, "seen_at": LATER, "address": "127.0.0.1", "agent": "Firefox"}]),
    "Tokens": _of("Tokens", tokens=[_TOKEN]),
    "Token": _of("Token", ok=True, **_TOKEN, secret="dctl_shown-this-once"),  # noqa: S106  an example
}

# The meaning of each error status, for people.
STATUS_MEANINGS = {
    400: "Invalid request; the message names the field.", 401: "Not signed in.",
    403: "Permission denied, or the request came from another site.",
    404: "Not found, or not visible to you.", 405: "Method not allowed.",
    409: "Conflict with the current state; nothing was changed unless `detail` says otherwise.",
    412: "Traffic was switched since that revision; nothing was changed.", 413: "The body is larger than 64 KB.",
    415: "The body must be JSON.", 421: "Unknown host name.",
    422: "The idempotency key was used for another request.",
    423: "Another change of this app is in progress; nothing was changed.",
    428: "A browser session must send If-Match.", 429: "Too many changes within a minute.",
    500: "Internal error; its number is in the log.", 502: "HAProxy or Docker rejected the change.",
    503: "Docker, HAProxy, a registry or the ledger is not responding.", 507: "The disk is full.",
}  # fmt: skip


def problem_example(code: str, status: int) -> Json:
    """Return a problem with that code."""
    title = code.replace("_", " ").capitalize()
    serving = {"app": "shop", "version": "v2", "release": 2, "revision": 118, "address": "127.0.0.1:8000"}
    return {"type": f"/api/docs#{code}", "title": title, "status": status, "detail": STATUS_MEANINGS[status], "code": code,
            "cause": None, "remedy": ["deployctl status shop"], "serving": serving if status in {409, 412, 423, 502} else None,
            "details": [], "revision": None}
