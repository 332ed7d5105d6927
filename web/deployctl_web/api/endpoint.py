"""The documentation of an API call is also its check: input is parsed by the models that the document shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Response, request

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.access import parse_person, parse_token_name
from deployctl.domain.images.secret import parse_secret
from deployctl.domain.inputs.names import parse_version
from deployctl.errors import Invalid, NotFound
from deployctl.usecases.views import as_json
from deployctl_web.api.headers import asked_revision
from deployctl_web.api.idempotency import once
from deployctl_web.api.strict_json import JSON, read_object, written
from deployctl_web.former_names import FORMER_NAMES
from deployctl_web.security.authorization import asked_app
from deployctl_web.security.request_checks import SAFE

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")
Given = TypeVar("Given")
CALL = "deployctl_call"
MAX_NUMBER_DIGITS = 15  # of a number in a path: SQLite counts no further than 18


@dataclass(frozen=True, slots=True)
class Model:
    """What a call takes or returns, by name: a class of the module, or an entry of its dict `table` if that is given.

    It is loaded when a call is checked or the document is built: pydantic and the models take 10 MB, which a dashboard
    that is only viewed does not need.
    """

    module: str
    name: str
    table: str = ""

    def load(self) -> type[Any]:
        found = import_module(self.module)
        loaded: type[Any] = getattr(found, self.table)[self.name] if self.table else getattr(found, self.name)
        return loaded


class Models:
    """The classes of a module of ours: `Models("a.b").Name` is not loaded yet."""

    def __init__(self, module: str, table: str = "") -> None:
        self._module, self._table = f"{__package__}.{module}", table

    def __getattr__(self, name: str) -> Model:
        return self[name]

    def __getitem__(self, name: str) -> Model:
        return Model(self._module, name, self._table)


EMPTY = Model("deployctl.config.fields", "ConfigTable")


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """A response: its body, and a status other than 200."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)




@dataclass(frozen=True, slots=True)
class Call:
    """One call as the document shows it. `gives` is the body of a 200: a result of a use case, or one of the API."""

    summary: str
    gives: type | None
    more: str = ""
    body: Model | None = None
    query: Model | None = None
    moves: bool = False  # traffic: pages must say at which revision
    at_revision: bool = False  # takes If-Match
    job: bool = False  # may respond with 202, and waits with Prefer
    tag: bool = False  # responds with the revision as ETag
    secret: bool = False  # its response is never stored
    unlimited: bool = False  # not rate limited


def documented(summary: str, gives: type[Given] | None, **said: Any,
               ) -> Callable[[Callable[..., Given | EndpointAnswer | Response]], Callable[..., Response]]:
    """Call the view with parsed input, and document it: `query`, `body` and `revision` as it takes them. What it returns is
    written as JSON."""
    one = Call(summary, gives, **said)

    def mark(view: Callable[..., Given | EndpointAnswer | Response]) -> Callable[..., Response]:
        @wraps(view)
        def answer(**path: str) -> Response:
            words = _path(path)
            if one.query is not None:
                words["query"] = read_query(one.query.load())
            if one.at_revision:
                words["revision"] = asked_revision(required=one.moves)
            if request.method in SAFE:
                return _response(view(**words))
            body = _parse((one.body or EMPTY).load(), read_object(request), "body")
            words |= {"body": body} if one.body is not None else {}
            return once(lambda: _response(view(**words)), secret=one.secret)

        setattr(answer, CALL, one)
        return answer

    return mark


def calls_of(app: Flask) -> dict[str, Call]:
    """Return the calls of the application by the name of their route."""
    found = {name: getattr(view, CALL, None) for name, view in app.view_functions.items()}
    return {name: one for name, one in found.items() if one is not None}


def _response(answer: object) -> Response:
    if isinstance(answer, Response):
        return answer
    answer = answer if isinstance(answer, EndpointAnswer) else EndpointAnswer(answer)
    return Response(json.dumps(as_json(answer.body), allow_nan=False) + "\n", answer.status, answer.headers, content_type=JSON)


# -- parsing input ----------------------------------------------------------------------------------------------------
def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_DIGITS):
        raise Invalid("no number")
    return int(text)


_IN_PATH: Mapping[str, Callable[[str], Any]] = {
    "version": parse_version, "deployment": _number, "session": _number, "user": parse_person, "token": parse_token_name,
    "operation": str, "secret_name": parse_secret,
}  # fmt: skip


def _path(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the parsed parts of the path. Raises NotFound: an invalid name is the name of nothing."""
    try:
        return {name: asked_app() if name == "app" else _IN_PATH[name](text) for name, text in given.items()}
    except Invalid:
        raise NotFound("there is no such page or resource.") from None


def read_query(model: type[M]) -> M:
    """Return the query of this request. Raises Invalid."""
    given = request.args.to_dict(flat=False)
    for name, texts in given.items():
        if len(texts) > 1:
            raise Invalid(f"{written(('query', name))} is given twice.")
    return _parse(model, {name: texts[0] for name, texts in given.items()}, "query")


def _renamed(raw: Mapping[str, Any], model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the body with the fields' present names. A former name beside the present one is an unknown field."""
    known = model.model_fields
    named = {FORMER_NAMES[name]: name for name in raw if FORMER_NAMES.get(name) in known and name not in known}
    return {next((now for now, former in named.items() if former == name and now not in raw), name): value
            for name, value in raw.items()}


def _parse(model: type[M], raw: Mapping[str, Any], where: str) -> M:
    """Return the model, or raise Invalid with every mistake and its path."""
    from pydantic import ValidationError

    try:
        return model.model_validate(_renamed(raw, model) if where == "body" else raw)
    except ValidationError as error:
        wrong = [_mistake(one, model, where) for one in error.errors(include_url=False)]
    undone = "" if where == "query" else " Nothing was done."
    if len(wrong) == 1:
        raise Invalid(f"{wrong[0][0]}{undone}", remedy=wrong[0][1])
    invalid = Invalid(f"the {where} has {len(wrong)} errors.{undone}")
    invalid.details = [" ".join([sentence, *remedy[:1]]) for sentence, remedy in wrong[:50]]
    raise invalid


def _mistake(error: Any, model: type[BaseModel], where: str) -> tuple[str, list[str]]:
    """Return what is wrong and what to write instead."""
    from deployctl.config.fields import Wrong

    loc, cause = error["loc"], error.get("ctx", {}).get("error")
    path = written((where, *(part for part in loc if part != "[key]")))
    if isinstance(cause, Wrong):
        return f"{path}: {cause.error.message}", list(cause.error.remedy)
    match error["type"]:
        case "missing":
            return f"{path} is required.", []
        case "extra_forbidden":
            return f"{path} is not a known field.", _nearest(str(loc[-1]), model)
        case _:
            return f"{path}: {error['msg'].lower()}.", []


def _nearest(key: str, model: type[BaseModel]) -> list[str]:
    known = [one.alias or name for name, one in model.model_fields.items()]
    close = get_close_matches(key, known, n=1)
    return [f"Did you mean {close[0]}?"] if close else [f"known fields: {', '.join(known)}"] if known else []
