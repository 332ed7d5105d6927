"""The response schemas, derived from the types that the use cases return: their annotations, and their JSON form."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from deployctl.domain.host.access import Role, Roles
from deployctl.domain.inputs.units import At, Ms, Percent
from deployctl.usecases.views import AnswerKey, object_of
from deployctl_web.api.request_fields import EitherText, VersionText

# Where the names in the annotations come from: commands load these modules only when needed, so the modules
# that use them do not import them.
_NAMED_IN = (
    "deployctl.domain.change.deployment", "deployctl.domain.change.diagnosis", "deployctl.domain.change.drift",
    "deployctl.domain.change.expected_gap",
    "deployctl.domain.change.plan", "deployctl.domain.change.probes", "deployctl.domain.change.readiness",
    "deployctl.domain.change.status_note", "deployctl.domain.host.access", "deployctl.domain.host.home",
    "deployctl.domain.images.component", "deployctl.domain.images.engine_keys",
    "deployctl.domain.images.image_source", "deployctl.domain.images.mounts",
    "deployctl.domain.images.release", "deployctl.domain.images.secret",
    "deployctl.domain.inputs.names",
    "deployctl.domain.inputs.units", "deployctl.domain.proxy.rejections", "deployctl.domain.proxy.traffic",
    "deployctl.errors", "deployctl.ports.logs", "deployctl.usecases.listings", "deployctl.usecases.release_view",
    "deployctl.usecases.results",
    "deployctl.usecases.view.logs", "collections.abc", "typing",
)  # fmt: skip


class _AppName:
    """Stands for AppName, which is a plain str when the program runs."""


class _Version:
    """Stands for Version, likewise."""


_STAND_INS = {"AppName": _AppName, "Version": _Version}
_SCHEMAS: Mapping[Any, Any] = {
    _AppName: EitherText, _Version: VersionText,
    At: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-01T12:00:00.000Z"]})],
    Ms: Annotated[float, Field(ge=0, description=get_args(Ms)[1])],
    Percent: Annotated[int, Field(ge=0, le=100, description=get_args(Percent)[1])],
    Roles: Annotated[dict[str, Role], Field(description=get_args(Roles)[1], examples=[{"shop": "deployer"}])],
}  # fmt: skip
_FURTHER = "further keys"  # of an object into which a plain mapping is spread


def schema_name(kind: type) -> str:
    """Return the schema name of a response of that type."""
    return object_of(kind).name


_being_made: list[type] = []  # a plan may have plans in it: those are described once, by the outermost


@cache
def answer_model(kind: type) -> type[BaseModel]:
    """Return the model of what `as_json` writes for that dataclass: every key is always present, and usually no
    others."""
    _being_made.append(kind)
    try:
        found = keys_of(kind)
    finally:
        _being_made.remove(kind)
    extra: Any = "allow" if found.pop(_FURTHER, None) else "forbid"
    # a key like `from` is not a valid Python name
    held: dict[str, Any] = {f"{name}_": (annotation, Field(alias=name)) for name, annotation in found.items()}
    return create_model(schema_name(kind), __config__=ConfigDict(extra=extra), __doc__=kind.__doc__, **held)


def keys_of(kind: type) -> dict[str, Any]:
    """Return the keys of that type's JSON object, each with its annotation."""
    found: dict[str, Any] = {}
    for key in object_of(kind).keys:
        if key.name:
            found[key.name] = _held(kind, key)
        elif (spread := _without_null(_attribute(kind, key.attribute))) and hasattr(spread, "__all_fields__"):
            found |= keys_of(spread)
        else:
            found[_FURTHER] = spread
    return found


def _held(kind: type, key: AnswerKey) -> Any:
    return _schema_of(_attribute(kind, key.attribute)) if key.attribute else Literal[key.always]


def _attribute(kind: type, path: str) -> Any:
    """Return the annotation of an attribute, which may be that of an attribute's attribute."""
    for name in path.split("."):
        hints = _hints(kind)
        kind = hints[name] if name in hints else _hints(getattr(kind, name).fget)["return"]
    return kind


def _hints(of: Any) -> dict[str, Any]:
    return typing.get_type_hints(of, localns=_names(), include_extras=True)


@cache
def _names() -> dict[str, Any]:
    named = {name: value for module in _NAMED_IN for name, value in vars(import_module(module)).items() if name[:1].isupper()}
    return named | _STAND_INS


def _without_null(annotation: Any) -> Any:
    if not _is_union(annotation):
        return annotation
    return next(one for one in get_args(annotation) if one is not type(None))


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, UnionType}


def _schema_of(annotation: Any) -> Any:
    """Return the annotation for pydantic: models instead of dataclasses, and JSON's types instead of tuples."""
    if annotation in _SCHEMAS:
        return _SCHEMAS[annotation]
    if annotation in _being_made:
        return dict[str, Any]
    if hasattr(annotation, "__all_fields__"):
        return answer_model(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _described(*inner)
    if _is_union(annotation):
        return Union[tuple(map(_schema_of, inner))]  # noqa: UP007  of as many as there are
    if origin is Sequence or (origin is tuple and inner[-1:] == (...,)):
        return list[_schema_of(inner[0])]  # type: ignore[misc]
    if origin is tuple:
        return tuple[tuple(map(_schema_of, inner))]  # type: ignore[misc]
    if origin in {dict, Mapping}:
        return dict[_schema_of(inner[0]), _schema_of(inner[1])]  # type: ignore[misc]
    return annotation


def _described(base: Any, *marks: Any) -> Any:
    """Return the schema of an annotated type: with its description, or with the values of its text."""
    kinds = [one for one in marks if not isinstance(one, str)]
    words = [one for one in marks if isinstance(one, str)]
    held = _schema_of(kinds[0] if kinds else base)
    return Annotated[held, Field(description=words[0])] if words else held
