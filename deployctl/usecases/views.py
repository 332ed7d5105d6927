"""Results as JSON objects of schema deployctl/v1: the only place that creates them.

The contents of a type are declared once, by its annotations: they are also the schemas of the OpenAPI document. Here is
only what differs in JSON: the name of the object, and its keys if they are not simply the fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter

from deployctl.dataclass import dataclass, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.errors import DeployctlError

SCHEMA = "deployctl/v1"
if TYPE_CHECKING:
    Json = dict[str, Any]
else:
    Json = dict

_WHOLE = f"schema:{SCHEMA} kind:"
# Type → the name of its object in the OpenAPI document, and its keys in order: KEY, KEY=ATTRIBUTE if Python has another
# name for it, KEY:VALUE for a constant, and *ATTRIBUTE for all keys of that object. Types not listed here have their
# fields as keys, and their own name.
_OBJECTS: Mapping[str, tuple[str, str]] = {
    "StatusView": ("Status", f"{_WHOLE}Status apps engine engine_code proxy proxy_code"),
    "AppView": ("App", "app address hosts revision state active standby instances=every_instance components deployment since "
                       "notes=note_lines notices=notes drift quality drifts rollback config"),
    "InstanceView": ("Instance", ""),
    "StatusNote": ("Note", "code version release message=line"),
    "Drift": ("Drift", "code=kind release summary=sentence"),
    "ConfigState": ("Config", "code why=reason differences=lines"),
    "Back": ("Back", "version release name warm brings_back *readiness"),
    "Readiness": ("Ready", "ready how why code seconds"),
    "Moved": ("Moved", f"schema:{SCHEMA} kind ok:True app from=source to=target from_release=source_release "
                       "to_release=target_release revision switch_ms total_ms confirmed failed_requests failed_precision "
                       "changed colour image_checked held released standby warnings steps image taken_over"),
    "Done": ("Done", f"schema:{SCHEMA} kind ok:True app changed summary=sentence details *more"),
    "ImageNews": ("ImageNews", "code reference from_digest=before to_digest=after why=reason message"),
    "HistoryView": ("History", f"{_WHOLE}History app changes=lines attempts releases=ready"),
    "HistoryLine": ("Change", "revision=change.revision at=change.at action=change.kind from_version=source to_version=target "
                              "from_release=change.source to_release=change.target actor=change.actor "
                              "switch_ms=change.switch_ms note=change.note"),
    "Deployment": ("Deployment", "id action=kind from_release=source to_release=target phase actor note started_at finished_at "
                                 "error error_code cause evidence"),
    "ReleaseView": ("Shown", f"{_WHOLE}Release app *release components role instance last_deployment=last siblings "
                    "readiness"),
    "Release": ("Release", "version release=number digest colour created_at health_checked_at=proven_at failure failure_code "
                           "hold bundle bundle_hash cap_drop"),
    "SecretRef": ("SecretRef", "name value env mode=octal user"),
    "SpecView": ("ComponentSpec", ""),
    "DiffView": ("Diff", f"{_WHOLE}Diff app from=before to=after differences=lines"),
    "LogLines": ("Logs", f"{_WHOLE}Logs app lines"),
    "Printed": ("Line", "version release component at=line.at stream=line.stream message=line.text"),
    "RejectionList": ("Refusals", f"{_WHOLE}Refusals app lines"),
    "Rejection": ("Refusal", "at app release status cause client method host path detail gate message=sentence"),
    "DeploymentList": ("Deployments", f"{_WHOLE}Deployments app deployments"),
    "DeploymentSteps": ("DeploymentShown", f"{_WHOLE}Deployment app deployment steps"),
    "StepRow": ("Step", ""),
    "Operation": ("Operation", f"{_WHOLE}Operation id app action actor started_at deployment done step detail ended_at result "
                               "error"),
    "Preview": ("Plan", f"{_WHOLE}Plan app=plan.app plan=plan.kind from_release=plan.source to_release=plan.target "
                        "warm=plan.warm summary=plan.summary steps=plan.steps changes restores warnings image gap first"),
    "ExpectedGap": ("ExpectedGap", "seconds most asks parts"),
    "TakenOver": ("TakeOver", "project stopped gap_ms moved next"),
    "Imported": ("Import", f"{_WHOLE}Import ok:True project app file=path next version written services gaps changes "
                           "kept secrets"),
    "Findings": ("Doctor", f"{_WHOLE}Doctor ok findings"),
    "ServerChecks": ("ServerChecks", "*checks dashboard"),
    "Reconciled": ("Reconcile", f"{_WHOLE}Reconcile ok changed dry_run lines"),
    "User": ("Person", "name roles password=has_password created_at created_by"),
    "PersonListed": ("PersonListed", "*user sessions"),
    "UserList": ("Users", f"{_WHOLE}Users users"),
    "UserLink": ("User", f"{_WHOLE}User ok:True *user summary link"),
    "SignIn": ("Session", "id created_at seen_at address agent"),
    "SessionList": ("Sessions", f"{_WHOLE}Sessions user sessions"),
    "TokenListed": ("TokenListed", "*token state"),
    "TokenList": ("Tokens", f"{_WHOLE}Tokens tokens"),
    "TokenCreated": ("Token", f"{_WHOLE}Token ok:True *token secret"),
    "AuditLog": ("Audit", f"{_WHOLE}Audit entries"),
}


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """One key of an object, or with an empty `name` all keys of the object in `attribute`."""

    name: str
    attribute: str = ""  # may be nested: change.at
    always: Any = None  # its constant value, if there is no attribute


@dataclass(frozen=True, slots=True)
class AnswerObject:
    name: str
    keys: tuple[AnswerKey, ...]


def object_of(kind: type) -> AnswerObject:
    """Return the JSON form of a dataclass."""
    name, keys = _OBJECTS.get(kind.__name__, (kind.__name__, ""))
    return AnswerObject(name, tuple(map(_key, keys.split())) or tuple(AnswerKey(one.name, one.name) for one in fields(kind)))


def _key(word: str) -> AnswerKey:
    if word.startswith("*"):
        return AnswerKey("", word[1:])
    name, fixed, value = word.partition(":")
    if fixed:
        return AnswerKey(name, always=True if value == "True" else value)
    name, _, attribute = word.partition("=")
    return AnswerKey(name, attribute or name)


_AS_IT_IS = frozenset({str, int, float, bool, type(None)})
_WRITERS: dict[type, Callable[[Any], Json]] = {}  # created when the first of a type is written


def as_json(value: Any) -> Any:
    """Return what `json.dumps` writes for a result, or for a part of one."""
    kind = value.__class__
    if kind in _AS_IT_IS:
        return value
    if hasattr(kind, "__all_fields__"):
        if kind not in _WRITERS:
            _WRITERS[kind] = _writer(object_of(kind).keys)
        return _WRITERS[kind](value)
    if isinstance(value, Mapping):
        return {name: as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return value


def _writer(keys: tuple[AnswerKey, ...]) -> Callable[[Any], Json]:
    """Return a function that creates the object of a value: key by key, or all at once if every key is an attribute."""
    readers = [(key, attrgetter(key.attribute) if key.attribute else None) for key in keys]
    if len(keys) > 1 and all(key.name and key.attribute for key in keys):
        names, read_all = tuple(key.name for key in keys), attrgetter(*(key.attribute for key in keys))
        return lambda value: _plain(dict(zip(names, read_all(value), strict=True)))

    def write(value: object) -> Json:
        made: Json = {}
        for key, read in readers:
            one = as_json(read(value)) if read else key.always
            made |= {key.name: one} if key.name else one or {}
        return made

    return write


def _plain(made: Json) -> Json:
    for name, one in made.items():
        if one.__class__ not in _AS_IT_IS:
            made[name] = as_json(one)
    return made


def json_pieces(head: Mapping[str, Any], name: str, entries: Iterable[Mapping[str, Any]],
                dumps: Callable[[Mapping[str, Any]], str] = json.dumps) -> Iterator[str]:
    """Yield the JSON text, in one line, of `head` followed by the list `name`, without ever holding that list. An error
    in reading its first entry is raised before anything is yielded."""
    rest = iter(entries)
    first = next(rest, None)
    yield dumps({**head, name: [first] if first else []})[:-2]
    yield from (f", {dumps(one)}" for one in rest)
    yield "]}\n"


def error_json(error: DeployctlError) -> Json:
    return {"schema": SCHEMA, "ok": False,
            "error": {"code": error.code, "cause": error.cause, "message": error.message, "remedy": error.remedy,
                      "details": error.details},
            "serving": as_json(error.serving)}
