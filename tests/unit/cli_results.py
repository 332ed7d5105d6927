"""Results as the verbs give them back: one app in trouble, one well, one that was never deployed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.change.deployment import Deployment, Phase
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.change.readiness import How, Readiness
from deployctl.domain.change.status_note import NoteCode, StatusNote
from deployctl.domain.host.access import Role, SignIn, Token, User
from deployctl.domain.images.capabilities import given_back, to_drop
from deployctl.domain.images.component import Component
from deployctl.domain.images.release import Bundle, Change, Colour, Hold, Release
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.listings import AuditLine
from deployctl.usecases.release_view import ReleaseView
from deployctl.usecases.results import (
    AppView,
    Back,
    DiffLine,
    DiffView,
    HistoryLine,
    HistoryView,
    InstanceView,
    Moved,
    Preview,
    Side,
    StatusView,
)

NOW = datetime(2026, 11, 23, 14, 44, 0, tzinfo=UTC)
SHOP = AppName("shop-api")


def tty(width: int, *, colour: bool = False, utf8: bool = True, wide: bool = False, quiet: bool = False) -> TerminalStyle:
    return TerminalStyle(width, relative=True, live=True, colour=colour, utf8=utf8, wide=wide, quiet=quiet, now=NOW)


PIPE = TerminalStyle(now=NOW)

AT_ONCE = Readiness(6, "v41", ready=True, how=How.WARM, seconds=0.0)
HELD = Readiness(5, "v40", ready=False, why="it has been on hold since 2026-11-22T17:05:00Z by mara (cli): totals wrong")
BOOTS = Readiness(4, "v39", ready=True, how=How.BOOT, seconds=6.2)
PULLED = Readiness(3, "v38", ready=True, how=How.PULL, why="its image was removed and must be pulled")
GONE = Readiness(2, "v37", ready=False, why="its image (4be07d52) is no longer on this server")

V42 = InstanceView(
    version="v42", release=7, role="active", port=20007, address="172.30.0.8", health="failing", weight=100,
    container="9f3c1a7e" * 8, colour="blue", digest="sha256:" + "9f3c1a7e" * 8, probe_message="GET /healthz gave 503",
    probe_ms=14.2, status="running", requests=2140, in_flight=3, failed_requests=5, answers_5xx=40, response_ms=174.3,
    since="2026-11-23T14:32:00Z",
)  # fmt: skip
V41 = replace(V42, version="v41", release=6, role="standby", port=20006, health="passing", weight=0, warm=True,
              container="4be07d52" * 8, colour="green", digest="sha256:" + "4be07d52" * 8,
              probe_message="GET /healthz gave 200", probe_ms=9.1, requests=0, in_flight=0, failed_requests=0, answers_5xx=0,
              since="2026-11-22T17:05:00Z",
              readiness=AT_ONCE)
V40 = replace(V41, version="v40", release=5, role="idle", port=20005, health="stopped", warm=False, status="exited",
              probe_message="", probe_ms=None, since=None, held=True, colour="blue", readiness=HELD)
TROUBLED = AppView(
    app=SHOP, address="127.0.0.1:8000", revision=118, state="degraded", active=V42, standby=V41,
    rollback=Back("v41", 6, "v41", warm=True, brings_back=(), readiness=AT_ONCE),
    instances=(V42, V41, V40), deployment=None, since="2026-11-23T14:32:00Z",
    notes=(StatusNote(NoteCode.LIVE_NOT_PASSING, SHOP, "v42 does not pass its health check: GET /healthz gave 503", "v42", 7),
           StatusNote(NoteCode.ON_HOLD, SHOP, "v40 is on hold (deployctl unhold shop-api v40)", "v40", 5)),
)  # fmt: skip
WELL = replace(TROUBLED, app="web", address="127.0.0.1:8001", revision=17, state="healthy", notes=(),
               active=replace(V41, version="v17", role="active", weight=100, requests=880, response_ms=41.0,
                              readiness=None),
               standby=replace(V41, version="v16", colour="blue"), since="2026-11-20T14:00:00Z",
               rollback=Back("v16", 6, "v16", warm=True, brings_back=(), readiness=AT_ONCE))
BARE = AppView("worker", None, 0, "not_deployed", None, None, (), None, hosts=("worker.example.com",))
THREE = StatusView((TROUBLED, WELL, BARE), engine=None, proxy=None)
ONE = StatusView((TROUBLED,), engine=None, proxy=None)

ROLLED_BACK = Moved(
    kind="Rollback", app=SHOP, source="v42", target="v41", revision=119, switch_ms=131.2, total_ms=170.0,
    confirmed=True, failed_requests=0, colour="green", held=("v42",), standby="v42",
)  # fmt: skip
UPGRADED = Moved(
    kind="Upgrade", app=SHOP, source="v41", target="v42", revision=118, switch_ms=143.0, total_ms=18_400.0,
    confirmed=True, failed_requests=1, colour="blue", standby="v41", warnings=("could not stop v40: no answer",),
)  # fmt: skip

STEPS = (Step(StepKind.HEALTH, 6, "prove v41 healthy: GET /healthz"),
         Step(StepKind.SWITCH, 6, "switch traffic of shop-api from v42 to v41"))
PREVIEW = Preview(Plan(SHOP, PlanKind.ROLLBACK, 7, 6, STEPS, "shop-api: rollback v42 → v41", warm=True),
                  restores=("Would put v42 on hold.", "Not rolled back: databases, files in volumes."),
                  warnings=("v41 is 40 days old",))


def change(revision: int, kind: str, source: int | None, target: int | None, at: str, note: str = "") -> Change:
    return Change(revision, SHOP, kind, source, target, at, "mara (cli)", note, switch_ms=131.0)


HISTORY = HistoryView(
    SHOP,
    (
        HistoryLine(change(119, "rollback", 7, 6, "2026-11-23T14:43:58Z", "checkout 500s\nsee ticket"), "v42", "v41"),
        HistoryLine(change(118, "upgrade", 6, 7, "2026-11-23T14:32:00Z", "three steps less"), "v41", "v42"),
        HistoryLine(change(117, "stop", 5, None, "2026-11-22T17:05:00Z"), "v40", None),
        HistoryLine(change(116, "upgrade", None, 5, "2026-11-21T19:52:00Z"), None, "v40"),
    ),
    (Deployment(9, SHOP, "upgrade", 7, 8, Phase.REVERTED, "ci (cli)", "", "2026-11-23T14:40:00.000Z", 3,
                finished_at="2026-11-23T14:41:00.500Z", error="v43 did not become healthy"),),
    {5: "v40", 6: "v41", 7: "v42", 8: "v43"},
    (AT_ONCE, HELD, BOOTS, PULLED, GONE),
)  # fmt: skip

BUNDLE = Bundle(image="registry.example.com/acme/shop-api:v42", digest=V42.digest, port=8080,
                env=(("DATABASE_URL", "postgres://secret"), ("MODE", "shop")))
RELEASE = Release(42, SHOP, 7, Version("v42"), (Component(BUNDLE),), "2026-11-23T14:30:00Z", proven_at="2026-11-23T14:31:50Z",
                  cap_drop=to_drop(()), colour=Colour.BLUE, hold=Hold("2026-11-23T14:43:58Z", "mara (cli)", "checkout 500s"))
BEFORE = Side("v41", 6)
FAILED = replace(HISTORY.attempts[0], evidence=("Last lines of v43:\n  boom",))
SHOWN = ReleaseView(SHOP, RELEASE, "active", V42, FAILED, (3,))
SLOW = replace(TROUBLED, state="healthy", notes=(), standby=None,
               rollback=Back("v39", 4, "v39", warm=False, brings_back=(), readiness=BOOTS),
               active=replace(V42, health="passing"), instances=(replace(V42, health="passing"), V40))
CUT_OFF = replace(SLOW, rollback=Back("v37", 2, "v37", warm=False, brings_back=(), readiness=GONE),
                  instances=(replace(V42, health="passing"), V41, V40))
FORMER_SHOWN = replace(SHOWN, release=replace(RELEASE, cap_drop=()))
RAW = replace(RELEASE, components=(Component(replace(BUNDLE, cap_add=("NET_RAW",))),), cap_drop=to_drop(("NET_RAW",)))
RAW_SHOWN = replace(SHOWN, release=RAW)
RAW_PREVIEW = replace(PREVIEW, warnings=tuple(given_back(("NET_RAW",))))
STANDBY_SHOWN = replace(SHOWN, role="idle", readiness=BOOTS, instance=None)
DIFFERENT = DiffView(SHOP, BEFORE, Side("v42", 7), (
    DiffLine("image", "~", "image", "shop-api:v41 4be07d52", "shop-api:v42 9f3c1a7e"),
    DiffLine("env", "+", "FEATURE_CHECKOUT", None, "new"),
    DiffLine("env", "~", "WORKERS", "4", "6"),
    DiffLine("env", "-", "VAT_RATE", "<hidden>", None),
    DiffLine("mounts", "+", "/data", None, None),
))  # fmt: skip

MARA = User("mara", {"*": Role.ADMIN}, "$argon2id$", "2026-11-20T09:00:00.000Z", "root (cli)")
JONAS = User("jonas", {"*": Role.VIEWER, "shop-api": Role.DEPLOYER}, None, "2026-11-23T14:40:00.000Z", "mara (cli)")
SESSIONS = (SignIn(12, "mara", "2026-11-23T14:40:00.000Z", "2026-11-23T14:43:58.000Z", "10.0.0.7",
                   "Mozilla/5.0 (X11; Linux x86_64)\x1b[31m"),
            SignIn(9, "mara", "2026-11-22T17:05:00.000Z", "2026-11-23T10:44:00.000Z", "127.0.0.1", ""))
TOKENS = (
    Token(3, "ci", {"shop-api": Role.DEPLOYER}, "2026-11-20T09:00:00.000Z", "mara (cli)", "2027-02-18T09:00:00.000Z",
          "2026-11-23T14:42:00.000Z", "10.0.0.9"),
    Token(2, "grafana", {"*": Role.VIEWER}, "2026-11-20T09:00:00.000Z", "mara (web)", None),
    Token(1, "ci", {"*": Role.ADMIN}, "2026-01-20T09:00:00.000Z", "mara (cli)", None, None, None, "2026-11-20T08:00:00.000Z"),
)  # fmt: skip
AUDIT = (
    AuditLine(41, "2026-11-23T14:43:58.000Z", "mara", "web", None, "shop-api", "rollback", "rollback: v42 → v41", 118, 119,
              "checkout 500s\nsee ticket", "done"),
    AuditLine(40, "2026-11-23T14:41:00.000Z", "ci", "token", None, "shop-api", "upgrade",
              "upgrade: v42 → v43 was reverted: v43 did not become healthy", None, None, "", "failed"),
    AuditLine(39, "2026-11-23T14:40:00.000Z", "jonas", "web", "10.0.0.7", "shop-api", "denied",
              "rollback was denied: That needs the deployer role for shop-api.", None, None, "", "denied"),
    AuditLine(38, "2026-11-22T17:05:00.000Z", "mara", "cli", None, None, "user_added", "jonas may sign in as viewer", None,
              None, "", "done"),
)  # fmt: skip
