"""Who did what, from where, and with what result: the events by user, app and action, including failed attempts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from deployctl.domain.change.deployment import Phase
from deployctl.domain.host.actor import Actor
from deployctl.domain.host.denied_changes import DENIED_KINDS
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.listings import AuditLine
from deployctl.usecases.read_facts import not_known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.ports import Services

MAX_AUDIT_LINES = 1000  # lines in one response
_DEPLOYMENT_KINDS = frozenset({"promoted", "ended"})  # kinds of events about a deployment, whose kind is the action

# Kinds as the ledger has had them since 0.1, and as they are shown. `kind` may be either.
_SHOWN = {"refused": "denied", "sign_in_refused": "sign_in_denied", "remark": "annotate", "token_made": "token_created",
          "link_made": "link_created"}
_STORED = {shown: stored for stored, shown in _SHOWN.items()}

Versions = Callable[[str, int | None], str]


def audit(s: Services, *, app: AppName | None = None, user: str | None = None, kind: str | None = None, limit: int = 100,
          before: int | None = None, among: Collection[AppName] | None = None) -> tuple[AuditLine, ...]:
    """Return what was done and attempted, latest first. `before`: only lines before that id; `among`: only lines about
    one of these apps. Raises NotFound for an app that never existed here."""
    found = s.ledger.find_events(app=app, among=among, who=user, what=_STORED.get(kind or "", kind), before=before,
                                 limit=max(1, min(limit, MAX_AUDIT_LINES)))
    if app is not None and not found:
        _require_once_known(app, s)
    versions = _versions(s)
    return tuple(_line(event, versions) for event in found)


def _require_once_known(app: AppName, s: Services) -> None:
    known = [*(row.name for row in s.ledger.apps()), *s.app_files()]
    if app not in known and not s.ledger.events(app, limit=1):
        raise not_known(f'no app "{app}" was ever here.', app, known, remedy=["deployctl app list"])


def _versions(s: Services) -> Versions:
    """Return what names a release by its version; a forgotten one keeps its number."""
    known: dict[tuple[str, int], str] = {}

    def version(app: str, number: int | None) -> str:
        if number is None:
            return "nobody"
        if (app, number) not in known:
            release = s.ledger.find_release(AppName(app), number)
            known[app, number] = release.version if release else f"release {number}"
        return known[app, number]

    return version


def _line(event: Mapping[str, Any], versions: Versions) -> AuditLine:
    data: Mapping[str, Any] = event["data"]
    who = Actor.of(event["actor"])
    revision = data.get("revision") if event["kind"] == "promoted" else None
    return AuditLine(
        id=event["id"], at=event["at"], who=who.name, how=who.via, address=data.get("address"), app=event["app"],
        what=_kind(event), summary=_sentence(event, versions),
        before=None if revision is None else revision - 1, after=revision,
        note=str(data.get("note") or data.get("reason") or ""), result=_result(event), count=int(data.get("count", 1)))


def _kind(event: Mapping[str, Any]) -> str:
    stored = str(event["kind"])
    return str(event["data"].get("kind", stored)) if stored in _DEPLOYMENT_KINDS else _SHOWN.get(stored, stored)


def _sentence(event: Mapping[str, Any], versions: Versions) -> str:
    data, app, text = event["data"], event["app"], str(event["text"])
    match event["kind"]:
        case "promoted":
            return f"{data['kind']}: {versions(app, data['source'])} → {versions(app, data['target'])}"
        case "held":  # older builds named the version only in the text, after the app
            return f"{data.get('version', text)} was put on hold"
        case "released":
            return f"the hold of {data.get('version', text)} was released"
        case "remark":
            return f"the reason of revision {data['of']}"
    return f"{text}{_how_often(data)}"


def _how_often(data: Mapping[str, Any]) -> str:
    """Return the number of rejected attempts and the names that were tried, as text."""
    count, names = int(data.get("count", 1)), data.get("names", ())
    parts = [*([f"{count} times"] if count > 1 else []), *([f"as {', '.join(names)}"] if names else [])]
    return f" ({'; '.join(parts)})" if parts else ""


def _result(event: Mapping[str, Any]) -> str:
    if event["kind"] in DENIED_KINDS:
        return "denied"
    return "failed" if event["data"].get("outcome", Phase.SUCCEEDED) != Phase.SUCCEEDED else "done"
