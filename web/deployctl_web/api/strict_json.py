"""A body is one unambiguous JSON object, or it is rejected: whatever parsers disagree about is a mistake here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from flask import Request

from deployctl.domain.inputs.grammar import shown
from deployctl.errors import DeployctlError, Invalid

DEEPEST = 16  # nested objects; ours have two levels
JSON = "application/json"

Path = tuple[str | int, ...]


class NotJson(DeployctlError):
    code = "unsupported_media_type"


class _Object(dict[str, Any]):
    """An object as it was sent; `twice` is a duplicate key."""

    twice: str | None = None


def read_object(request: Request) -> dict[str, Any]:
    """Return the body's object, an empty one for no body. Raises NotJson, Invalid."""
    data = request.get_data()
    if not data and not request.form and not request.files:  # a form was already read by the check of its token
        return {}
    if request.mimetype != JSON or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise NotJson(f"The body must be {JSON} in UTF-8. Nothing was done.", remedy=[f"send the header Content-Type: {JSON}"])
    value = parse(data)
    if not isinstance(value, dict):
        raise Invalid("the body is not a JSON object. Nothing was done.", remedy=['write {"name": value}'])
    return value


def parse(data: bytes) -> Any:
    """Return the value. Raises Invalid, with the path of the mistake if there is one."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8. Nothing was done.") from None
    except RecursionError:
        raise Invalid(f"the body is nested deeper than {DEEPEST} levels. Nothing was done.") from None
    except ValueError as error:  # not JSON, or a number with thousands of digits
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Invalid(f"the body is not JSON{where}. Nothing was done.") from None
    for path, why in _faults(value, (), 0):
        raise Invalid(f"{written(path)} {why}. Nothing was done.")
    return value


def written(path: Sequence[str | int]) -> str:
    """Return the path of a value: `body.env.LANG`, `query.limit`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part if part.isascii() and part.isidentifier() and len(part) <= 60 else shown(part)}"
    return text.lstrip(".") or "body"


def _object(pairs: Sequence[tuple[str, Any]]) -> _Object:
    made = _Object()
    for name, value in pairs:
        if name in made:
            made.twice = name
        made[name] = value
    return made


def _faults(value: Any, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Yield what two programs may interpret differently."""
    here = path or ("body",)
    if depth > DEEPEST:
        yield here[:DEEPEST], f"is nested deeper than {DEEPEST} levels"
    elif isinstance(value, float) and not isfinite(value):
        yield here, "is not a valid JSON number"
    elif isinstance(value, str) and not _is_text(value):
        yield here, "contains a lone surrogate"
    elif isinstance(value, Mapping):
        yield from _object_faults(value, here, depth)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _faults(one, (*here, number), depth + 1)


def _object_faults(value: Mapping[str, Any], here: Path, depth: int) -> Iterator[tuple[Path, str]]:
    twice = getattr(value, "twice", None)
    if twice is not None:
        yield (*here, twice), "is given twice"
    for name, one in value.items():
        if not _is_text(name):
            yield (*here, name), "contains a lone surrogate"
        yield from _faults(one, (*here, name), depth + 1)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
