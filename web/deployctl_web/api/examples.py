"""One example of each response, built of the types that responses are built of."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.change.deployment import Deployment, Phase
from deployctl.domain.change.readiness import How, Readiness
from deployctl.domain.host.access import Role, SignIn, Token, User
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import Cause, Rejection
from deployctl.errors import Serving
from deployctl.memory import Store
from deployctl.ports import LogLine
from deployctl.usecases import listings as lists
from deployctl.usecases import results
from deployctl.usecases.view.logs import Printed
from deployctl.usecases.views import Json, as_json, object_of
from deployctl_web.api.routes_read import Operation
from deployctl_web.problems import STATUS_MEANINGS, Problem
from deployctl_web.server_facts import Connections, DashboardFacts, ServerChecks

SHOP = AppName("shop")
AT, LATER = "2026-01-01T12:00:00.000Z", "2026-01-01T12:15:00.000Z"
_ROLES = {"shop": Role.DEPLOYER}

_READY = Readiness(1, "v1", ready=True, how=How.WARM, seconds=0.0)
_ACTIVE = results.InstanceView(
    "v2", 2, "active", 20002, "172.30.0.3", "passing", 100, "c0" * 32, "green", "sha256:" + "4f" * 32,
    probe_message="GET /healthz gave 200", probe_ms=1.9, status="running", requests=51234, in_flight=3, answers_5xx=1,
    response_ms=12.4, since=AT)
_STANDBY = replace(_ACTIVE, version="v1", release=1, role="standby", port=20001, address="172.30.0.2", weight=0, colour="blue",
                   warm=True, in_flight=0, since=None, readiness=_READY)
_APP = results.AppView(
    "shop", "127.0.0.1:8000", 118, "healthy", _ACTIVE, _STANDBY, (_ACTIVE, _STANDBY), None, since=AT,
    rollback=results.Back("v1", 1, "v1", warm=True, brings_back=("image acme/shop:v1 (1f2e3d4c5b6a)",), readiness=_READY),
    config=results.ConfigState(results.ConfigCode.CHANGED, (results.DiffLine("env", "~", "WORKERS", "2", "4"),)))
_DEPLOYMENT = Deployment(7, SHOP, "upgrade", 1, 2, Phase.SUCCEEDED, "ci-shop (token)", "faster search", AT, 3,
                         finished_at=LATER)
_CHANGE = Change(118, SHOP, "upgrade", 1, 2, AT, "ci-shop (token)", "faster search", 14.2)
_PERSON = User("mara", _ROLES, None, AT, "root (cli)")
_TOKEN = lists.TokenListed(
    Token(4, "ci-shop", _ROLES, AT, "mara (web)", "2026-04-01T12:00:00.000Z", owner="mara"), "in_use")

EXAMPLES: dict[str, Json] = {object_of(type(one)).name: as_json(one) for one in (
    results.StatusView((_APP,), engine=None, proxy=None),
    results.HistoryView("shop", (results.HistoryLine(_CHANGE, "v1", "v2"),), (), {}, (_READY,)),
    results.DiffView("shop", results.Side("v1", 1), results.Side("v2", 2),
                     (results.DiffLine("env", "~", "WORKERS", "2", "4"),)),
    lists.LogLines("shop", [Printed(2, "v2", "v2", LogLine(AT, "stdout", "listening on 8080"))]),
    lists.RejectionList("shop", [Rejection(
        AT, SHOP, None, 400, Cause.BAD_REQUEST, "192.0.2.7:41822",
        detail="HAProxy stopped at byte 6 of “GET /k\\xC3\\xBCche”")]),
    lists.DeploymentList("shop", (_DEPLOYMENT,)),
    lists.DeploymentSteps(_DEPLOYMENT, (
        lists.StepRow("start", 2, "start shop v2 on port 20002", AT, AT, ok=True, duration_ms=310.0, message=""),)),
    results.Moved("Rollback", "shop", "v2", "v1", 119, 14.2, 88.0, confirmed=True, failed_requests=0, source_release=2,
                  target_release=1, steps=(results.StepDone("switch", "switch traffic of shop to v1", 14.2),),
                  colour="blue", held=("v2",), standby="v2"),
    results.Done("Hold", "shop", "shop v3 is on hold: it will not be deployed again",
                 ("Release it: deployctl unhold shop v3",)),
    Operation("9f2c1a7be0d34c55", "shop", "upgrade", "ci-shop (token)", AT, 7, done=False,
              step="wait until shop v3 is healthy", detail="1 of 3 probes passed", ended_at=None, result=None, error=None),
    ServerChecks(
        lists.Findings((lists.Finding("engine", ok=True, message="Docker 27.3, API 1.47, amd64"),)),
        DashboardFacts(
            "0.2.0", 4711, "/srv/deploy", "http://127.0.0.1:8900", "127.0.0.1:8900", 3, "172.30.0.0/16", (20000, 27999),
            "address", Connections({"signed_in": 2, "others": 1}, {"no_room": 0, "ambiguous_request": 1}, 0),
            (Store("status cache", 33554432, 51200),))),
    lists.AuditLog([lists.AuditLine(
        311, AT, "mara", "web", "127.0.0.1", "shop", "rollback", "rollback: v2 → v1", 118, 119, "the cart page fails",
        "done")]),
    lists.UserList((lists.PersonListed(_PERSON, 1),)),
    lists.UserLink(_PERSON, "mara can sign in as deployer of shop", lists.Link("http://127.0.0.1:8900/start/7hQ2", LATER)),
    lists.SessionList("mara", [SignIn(3, "mara", AT, LATER, "127.0.0.1", "Firefox")]),
    lists.TokenList((_TOKEN,)),
    lists.TokenCreated(_TOKEN, "dctl_shown-this-once"),
)}

def problem_example(code: str, status: int) -> Json:
    """Return a problem with that code."""
    serving = Serving("shop", "v2", 2, 118, "127.0.0.1:8000") if status in {409, 412, 423, 502} else None
    made: Json = as_json(Problem(
        f"/api/docs#{code}", code.replace("_", " ").capitalize(), status, STATUS_MEANINGS[status], code, None,
        ("deployctl status shop",), serving, (), None))
    return made
