"""`/api/docs`: the OpenAPI document as a page of our own, rendered by the server: nothing is fetched from elsewhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template

from deployctl.dataclass import dataclass
from deployctl_web import problems
from deployctl_web.api.strict_json import JSON
from deployctl_web.security.authorization import SIGNED_IN, needs
from deployctl_web.state import web_state

docs = Blueprint("api_docs", __name__)


@dataclass(frozen=True, slots=True)
class Word:
    """A parameter, or a key of a body."""

    name: str
    where: str  # path, query, header, body
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    who: str
    words: tuple[Word, ...]
    curl: str
    answers: tuple[str, ...]
    example: str


@docs.get("/api/docs")
@needs(SIGNED_IN)
def page() -> str:
    from deployctl_web.api.openapi import TAGS, document

    found = entries(document(), web_state().place.base)
    groups = {name: [one for tag, one in found if tag == name] for name in TAGS.values()}
    codes = [(code, status, problems.STATUS_MEANINGS[status]) for code, status in sorted(problems.STATUS.items())]
    return render_template("docs.html", groups=groups, codes=codes)


def entries(document: Mapping[str, Any], base: str) -> list[tuple[str, CallEntry]]:
    """Return every call with its group, in the order of the document."""
    return [(one["tags"][0], _entry(document, base, path, method.upper(), one))
            for path, methods in document["paths"].items() for method, one in methods.items()]


def _entry(document: Mapping[str, Any], base: str, path: str, method: str, one: Mapping[str, Any]) -> CallEntry:
    body = _schema(document, one.get("requestBody"))
    good = one["responses"]["200"]["content"].get(JSON, {})
    words = [Word(p["name"], p["in"], p["required"], p.get("description", p["schema"].get("description", "")))
             for p in one["parameters"]]
    words += [Word(name, "body", name in body.get("required", []), _about(part))
              for name, part in body.get("properties", {}).items()]
    example = good.get("example")
    return CallEntry(
        one["operationId"], method, path, one["summary"], one["description"], one["x-for"], tuple(words),
        _curl(base, path, method, one, body), tuple(one["responses"]),
        json.dumps(example, indent=2, ensure_ascii=False) if example else "")


def _schema(document: Mapping[str, Any], body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if body is None:
        return {}
    name = body["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    found: Mapping[str, Any] = document["components"]["schemas"][name]
    return found


def _about(part: Mapping[str, Any]) -> str:
    inner = [part, *part.get("anyOf", [])]
    return next((one["description"] for one in inner if "description" in one), "")


def _curl(base: str, path: str, method: str, one: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return a shell command that makes this call; the token is in a variable."""
    for p in one["parameters"]:
        if p["in"] == "path":
            path = path.replace("{" + p["name"] + "}", str(p["schema"]["examples"][0]))
    asked = [f"{p['name']}={p['schema']['examples'][0]}" for p in one["parameters"] if p["in"] == "query" and p["required"]]
    words = ["curl", "-H", "Authorization: Bearer $TOKEN"]
    words += [] if method == "GET" else ["-X", method]
    example = body.get("examples")
    words += ["-H", f"Content-Type: {JSON}", "-d", json.dumps(example[0], ensure_ascii=False)] if example else []
    words.append(base + path + (f"?{'&'.join(asked)}" if asked else ""))
    return " ".join(f'"{word}"' if "$TOKEN" in word else shlex.quote(word) for word in words)
