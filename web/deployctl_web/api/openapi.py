"""The OpenAPI 3.1 document, derived from the routes and the documentation of each call: nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from flask import Flask, current_app
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from deployctl import __version__
from deployctl.config.fields import ConfigTable
from deployctl.domain.host.access import Role
from deployctl.usecases.views import Json
from deployctl.verbs.table import routes
from deployctl_web import problems
from deployctl_web.api import examples as api_examples
from deployctl_web.api import request_models
from deployctl_web.api.answer_schemas import answer_model, schema_name
from deployctl_web.api.endpoint import Call, calls_of
from deployctl_web.api.headers import IF_MATCH, LONGEST_WAIT
from deployctl_web.api.idempotency import HEADER, KEY_PATTERN, REPLAY
from deployctl_web.api.openapi_paths import OF_COMPONENT, in_path, paths_of
from deployctl_web.api.request_fields import ecma
from deployctl_web.api.request_models import BODIES
from deployctl_web.api.routes_read import Operation
from deployctl_web.api.strict_json import JSON
from deployctl_web.security.authorization import SIGNED_IN, rule_of
from deployctl_web.security.request_checks import SAFE

OPENAPI_EXTENSION = "deployctl.openapi"
REF = "#/components/schemas/{model}"

OF_COMPONENTS = frozenset({"start", "app_refusals"})
FORMER = {route.former for _, route in routes().values() if route.former}  # paths that are still accepted, and not documented
TAGS = {"api_look": "Read", "api_move": "Apps: change", "api_inside": "Apps: commands", "api_secrets": "Secrets",
        "api_people": "Users and tokens"}
IN_HEADERS: dict[str, Json] = {
    "If-Match": {"description": "The revision that you saw. If it has changed since, nothing is done: 412. "
                                "Required from browser sessions where traffic is switched; optional with a token, or *.",
                 "schema": {"type": "string", "pattern": ecma(IF_MATCH), "examples": ['"118"']}},
    HEADER: {"description": "A random string: a request that is repeated with the same key within a day is not executed again; "
                            f"the first response is returned with {REPLAY}: true.",
             "schema": {"type": "string", "pattern": ecma(KEY_PATTERN), "examples": ["4b825dc6-42cb-4e60-9ae6-0a2e1a5fbd2a"]}},
    "Prefer": {"description": f"wait=N: wait up to N seconds (at most {LONGEST_WAIT}) for the operation to finish "
                              "instead of responding 202.",
               "schema": {"type": "string", "examples": ["wait=60"]}},
}


def document() -> Json:
    """Return the document of the application that handles this request."""
    app: Flask = current_app
    if OPENAPI_EXTENSION not in app.extensions:
        app.extensions[OPENAPI_EXTENSION] = describe(app)
    return cast(Json, app.extensions[OPENAPI_EXTENSION])


def describe(app: Flask) -> Json:
    """Return the document of that application."""
    calls = calls_of(app)
    paths: dict[str, Json] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint in calls and rule.rule.rpartition("/")[2] not in FORMER:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                for path, prefix in paths_of(rule):
                    found = _operation(app, rule, method, calls[rule.endpoint], path, prefix)
                    paths.setdefault(path, {})[method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {"title": "deployctl", "version": __version__, "description": (
            "Blue/green deployments and instant rollback. Responses are those of the command line with `-o json`; "
            "errors are problems (RFC 9457) with the same codes. "
            "Fields may be added; those that 0.3.0 renamed are in the changelog.")},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in TAGS.values()],
        "paths": paths,
        "components": {"schemas": {**_answers(calls.values()), **_bodies()}, "responses": _problem_answers(),
                       "securitySchemes": _security_schemes(app)},
    }


def _security_schemes(app: Flask) -> Json:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: deployctl token create NAME"},
        "session": {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"],
                    "description": "The session of a signed-in browser."},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken",
                 "description": "The CSRF token of the dashboard's pages (meta csrf-token), for changes in a session."},
    }


# -- one call -----------------------------------------------------------------------------------------------------------
def _operation(app: Flask, rule: Rule, method: str, call: Call, path: str, prefix: str) -> Json:
    blueprint, _, name = rule.endpoint.partition(".")
    may = who_may(rule_of(app, rule.endpoint), in_app="app" in rule.arguments)
    changes = method not in SAFE
    made: Json = {
        "operationId": prefix + name, "tags": [TAGS[blueprint]],
        "summary": f"{call.summary}, of a component" if prefix else call.summary,
        "description": " ".join(filter(None, [call.more, OF_COMPONENT if prefix else "", f"For {may}."])), "x-for": may,
        "security": [{"token": []}, {"session": [], "csrf": []} if changes else {"session": []}],
        "parameters": [*in_path(path), *_in_query(call), *_in_header(call, changes=changes)],
        "responses": {**_good(call), **{str(status): {"$ref": f"#/components/responses/{status}"}
                                        for status in _refusals(rule, call, changes=changes)}},
    }
    if call.body is not None:
        required = any(field.is_required() for field in call.body.load().model_fields.values())
        made["requestBody"] = {"required": required, "content": {JSON: {
            "schema": {"$ref": REF.format(model=call.body.name)}}}}
    return made


def who_may(rule: Role | str | None, *, in_app: bool) -> str:
    """Return as text who may call it."""
    if rule == SIGNED_IN:
        return "everyone who is signed in"
    return f"{rule}s of the app" if in_app else f"{rule}s of the whole server"


def _in_query(call: Call) -> Iterator[Json]:
    if call.query is None:
        return
    schema = call.query.load().model_json_schema(by_alias=True)
    for name, one in schema["properties"].items():
        inner: Json = next((part for part in one.pop("anyOf", []) if part != {"type": "null"}), {})
        held = {key: value for key, value in {**inner, **one}.items() if key not in {"title", "description", "default"}}
        default = {"default": one["default"]} if one.get("default") is not None else {}
        yield {"name": name, "in": "query", "required": name in schema.get("required", []),
               "description": one.get("description") or inner.get("description", ""), "schema": {**held, **default}}


def _in_header(call: Call, *, changes: bool) -> Iterator[Json]:
    accepted = {"If-Match": call.at_revision, HEADER: changes, "Prefer": call.job}
    for name, fields in IN_HEADERS.items():
        if accepted[name]:
            yield {"name": name, "in": "header", "required": False, **fields}


# -- responses -----------------------------------------------------------------------------------------------------------
def _good(call: Call) -> Json:
    if call.gives is None:
        return {"200": {"description": "The document.", "content": {JSON: {"schema": {"type": "object"}}}}}
    headers: Json = {}
    if call.tag:
        headers["ETag"] = {"description": "The revision, for If-Match.", "schema": {"type": "string"}}
    made = {"200": _answer(call.gives, "Done." if call.job else "The result.", headers)}
    if call.job:
        location = {"Location": {"description": "The address of the operation.", "schema": {"type": "string"}}}
        made["202"] = _answer(Operation, "In progress; poll the operation.", location)
    return made


def _answer(kind: type, description: str, headers: Json) -> Json:
    name = schema_name(kind)
    content: Json = {"schema": {"$ref": REF.format(model=name)}}
    if name in api_examples.EXAMPLES:
        content["example"] = api_examples.EXAMPLES[name]
    return {"description": description, **({"headers": headers} if headers else {}), "content": {JSON: content}}


def _refusals(rule: Rule, call: Call, *, changes: bool) -> list[int]:
    """Return every error status that this call may respond with."""
    found = {401, 421, 423, 500, 502, 503}
    found |= {400} if call.query is not None else set()
    found |= {403} if isinstance(rule_of(current_app, rule.endpoint), Role) else set()
    found |= {404} if rule.arguments or call.query is not None else set()
    found |= {400, 403, 409, 413, 415, 422, 429, 507} if changes else set()
    found |= {404, 412} if call.at_revision else set()
    found |= {428} if call.moves else set()
    found |= {403} if call.query and call.query.name == "SessionsQuery" else set()
    return sorted(found)


def _problem_answers() -> Json:
    return {str(status): _problem_answer(status) for status in sorted({412, *problems.STATUS.values()})}


def _problem_answer(status: int) -> Json:
    codes = ["state_changed"] if status == 412 else [code for code, found in problems.STATUS.items() if found == status]
    return {
        "description": f"{problems.STATUS_MEANINGS[status]} Codes: {', '.join(codes)}.",
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        if status in {409, 423, 429, 503} else {},
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")},
                                          "example": api_examples.problem_example(codes[0], status)}},
    }


def _answers(calls: Iterable[Call]) -> Json:
    """Return the schemas of responses, and of their parts."""
    kinds = {one.gives for one in calls if one.gives is not None} | {Operation, problems.Problem}
    _, made = models_json_schema([(answer_model(one), "serialization") for one in sorted(kinds, key=schema_name)],
                                 ref_template=REF)
    return dict(made["$defs"])


def _bodies() -> Json:
    """Return the schemas of request bodies."""
    made: Json = {}
    for one in (*vars(request_models).values(), *BODIES.values()):
        if isinstance(one, type) and issubclass(one, ConfigTable) and one.__name__.endswith(("Body", "Nothing")):
            made[one.__name__] = one.model_json_schema(ref_template=REF)
    return made
