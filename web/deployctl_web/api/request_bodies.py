"""The bodies of requests that change an app: generated from the table of verbs."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, create_model

from deployctl.config.fields import ConfigTable
from deployctl.verbs.row import Param, ParamKind, Route, Verb
from deployctl.verbs.table import routes
from deployctl_web.api.request_fields import (
    Flag,
    ImageText,
    NoteText,
    PullWord,
    ReasonText,
    ReleaseNumber,
    Variables,
    VersionText,
)

OPTIONAL: dict[str, tuple[Any, Any]] = {  # type, and value when it is left out
    ParamKind.VERSION: (VersionText | None, None), ParamKind.RELEASE: (ReleaseNumber | None, None),
    ParamKind.IMAGE: (ImageText | None, None),
    ParamKind.ENV: (Variables, {}), ParamKind.PULL: (PullWord | None, None), ParamKind.FLAG: (Flag, False),
    ParamKind.NOTE: (NoteText, ""),
}  # fmt: skip
REQUIRED: dict[str, Any] = {ParamKind.VERSION: VersionText, ParamKind.REASON: ReasonText}


def _model(verb: Verb, route: Route) -> type[ConfigTable]:
    extra: Any = {"examples": [dict(route.example)]} if route.example else {}
    base = type(route.body,
                (ConfigTable,), {"model_config": ConfigDict(json_schema_extra=extra), "__doc__": route.describes or None})
    fields: dict[str, Any] = {param.body: _field(param) for param in verb.params if param.body}
    made: type[ConfigTable] = create_model(route.body, __base__=base, __doc__=route.describes or None,
                                           __module__=__name__, **fields)
    return made


def _field(param: Param) -> tuple[Any, Any]:
    about = param.api_about or None
    if param.required:
        return REQUIRED[param.kind], Field(description=about)
    kind, unsaid = OPTIONAL[param.kind]
    return kind, Field(unsaid, description=about)


def _models() -> dict[str, type[ConfigTable]]:
    """Return them by the name of their schema; verbs with the same parameters share one."""
    made: dict[str, type[ConfigTable]] = {}
    for verb, route in routes().values():
        if route.body not in made:
            made[route.body] = _model(verb, route)
    return made


BODIES = _models()
