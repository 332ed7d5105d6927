"""The values in requests: each is validated by the parser that the command line uses, and has a schema of what that
parser accepts, so that the OpenAPI document can promise it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import WithJsonSchema

from deployctl.config.fields import by, one_of
from deployctl.domain.host.access import ALL, PERSON, SCOPE_ROLES, TOKEN_NAME, Role
from deployctl.domain.images.image_ref import HOST_LABEL, IMAGE, PATH_PART, REGISTRY_PART
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.grammar import Grammar, match, refused
from deployctl.domain.inputs.names import (
    APP,
    COMPONENT,
    ENV_NAME,
    VERSION,
    AppName,
    ComponentName,
    Version,
    parse_app,
    parse_app_or_backing,
    parse_component,
    parse_env_name,
    parse_env_value,
    parse_image,
    parse_version,
    parse_words,
)
from deployctl.domain.inputs.plain_text import NOTE, REASON, parse_note, parse_reason
from deployctl.domain.inputs.quantities import parse_amount, parse_count, parse_duration, parse_flag
from deployctl.usecases.access.passwords import LONGEST, SHORTEST

WORD = Grammar("a word of the audit", r"[a-z][a-z_]{0,39}", "A kind of event has 1 to 40 characters: a-z and _.")
WHO = Grammar("a name", r"[!-~]{1,64}", "A name of a user or token has 1 to 64 visible ASCII characters.")
TEXT = Grammar("a text to look for", r"[^\x00-\x1f\x7f]{1,200}",
               "A text to look for has 1 to 200 characters, and no control characters.")
PASSWORD = Grammar("a password", rf"[^\x00]{{{SHORTEST},{LONGEST}}}", f"A password has {SHORTEST} to {LONGEST} characters.")
SECRET_VALUE = Grammar("the value of a secret", r"[\s\S]{1,40000}",
                       "A secret's value has 1 to 40,000 characters; a longer one, or bytes: deployctl secret set APP NAME.")
SPAN_GRAMMAR = Grammar("a span of time", r"[1-9][0-9]{0,4}(?:s|m)|[1-9][0-9]{0,2}h",
               'A span is a whole number and s, m or h: "90s", "10m", "24h".')
LONGEST_SPAN = 1e5 * 60  # seconds; the grammar's maximum
LAST_RELEASE = 999_999_999
LONGEST_IMAGE = 255
MOST_WORDS, LONGEST_WORD = 64, 4_096  # of a command
LONGEST_VALUE = 16_384  # characters of one variable
Schema = dict[str, Any]


def ecma(pattern: str) -> str:
    """Return the pattern, matched as a whole, in the syntax of JSON Schema (ECMA 262)."""
    return f"^(?:{re.sub(r'[(][?]P<[a-z_]+>', '(?:', pattern).replace(chr(92) + 'Z', '$')})$"


def text_like(grammar: Grammar, *, but: tuple[str, ...] = (), example: str | None = None) -> Schema:
    """Return the schema of a text of that grammar, with the reserved words `but`."""
    schema: Schema = {"type": "string", "pattern": ecma(grammar.pattern), "description": grammar.sentence}
    if but:
        schema["not"] = {"enum": list(but)}
    return schema | ({"examples": [example]} if example else {})


def _as(grammar: Grammar) -> Callable[..., str]:
    def parse(value: object, *, field: str) -> str:
        return match(value, grammar, field)[0]

    return parse


def parse_image_text(value: object, *, field: str) -> str:
    text = str(parse_image(value, field=field))
    if len(str(value)) > LONGEST_IMAGE:
        raise refused(field, value, f"has more than {LONGEST_IMAGE} characters", IMAGE.sentence)
    return text


def parse_variable(value: object, *, field: str) -> str:
    """Return the value of a variable; the message never shows it."""
    text = parse_env_value(value, field=field)
    if len(text) > LONGEST_VALUE:
        raise refused(field, "***", f"has more than {LONGEST_VALUE:,} characters", "Write it into a file of the app.")
    return text


def parse_password(value: object, *, field: str) -> str:
    """Return a password; the message never shows it."""
    if not isinstance(value, str) or not re.fullmatch(PASSWORD.pattern, value):
        raise refused(field, "***", "is not a valid password", PASSWORD.sentence)
    return value


def parse_command(value: object, *, field: str) -> tuple[str, ...]:
    """Return a command's arguments: no shell will read them."""
    words = parse_words(value, field=field)
    if len(words) > MOST_WORDS or any(len(word) > LONGEST_WORD for word in words):
        raise refused(field, "***", "is too long", f"A command has up to {MOST_WORDS} words of {LONGEST_WORD:,} characters.")
    return words


def parse_secret_value(value: object, *, field: str) -> str:
    """Return the value of a secret; the message never shows it."""
    if not isinstance(value, str) or not re.fullmatch(SECRET_VALUE.pattern, value):
        raise refused(field, "***", "is not the value of a secret", SECRET_VALUE.sentence)
    return value


def parse_span(value: object, *, field: str) -> float:
    """Return seconds."""
    return parse_duration(match(value, SPAN_GRAMMAR, field)[0], field=field, low=1.0, high=LONGEST_SPAN)


def parse_scope_app(value: object, *, field: str) -> str:
    return ALL if value == ALL else parse_app(value, field=field)


def parse_digits(value: object, *, field: str, low: int, high: int) -> int:
    """Return the number in a query; digits of other scripts and signs are rejected."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text) or not low <= int(text) <= high:
        raise refused(field, value, f"is not a number from {low} to {high}", f"Write a number from {low} to {high}.")
    return int(text)


def in_query(low: int, high: int) -> Any:
    """Return the validators of a number in a query, for Annotated."""
    return by(parse_digits, low=low, high=high), WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


def parse_whole(value: object, *, field: str, low: int, high: int) -> int:
    """Return a whole number in a body; JSON does not distinguish 5 and 5.0."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return parse_count(whole, field=field, low=low, high=high)


def whole(low: int, high: int) -> Any:
    """Return the type of a whole number in a body."""
    return Annotated[int, by(parse_whole, low=low, high=high), WithJsonSchema(
        {"type": "integer", "minimum": low, "maximum": high})]


def amount(low: float, high: float) -> Any:
    """Return the validators of a number in a body."""
    return by(parse_amount, low=low, high=high), WithJsonSchema({"type": "number", "minimum": low, "maximum": high})


_PORT = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_REGISTRY = rf"localhost(?::{_PORT})?|{HOST_LABEL}(?:\.{HOST_LABEL})+(?::{_PORT})?|{HOST_LABEL}:{_PORT}"
IMAGE_TEXT = Grammar(  # what parse_image accepts, as one pattern
    IMAGE.what,
    r"(?=.{1,255}\Z)(?!(?:sha256|[0-9a-f]{64})(?:[:@]|\Z))"
    rf"(?:(?:{_REGISTRY})/|(?!(?:{REGISTRY_PART})/)){PATH_PART}(?:/{PATH_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    IMAGE.sentence,
)

APP_SCHEMA = text_like(APP, but=("server", "example"), example="shop")
VERSION_SCHEMA = text_like(VERSION, but=("hold", "maint"), example="v2")
AppText = Annotated[AppName, by(parse_app), WithJsonSchema(APP_SCHEMA)]
ComponentText = Annotated[ComponentName, by(parse_component), WithJsonSchema(text_like(COMPONENT, example="worker"))]
EITHER = Grammar("an app or its backing component", rf"{APP.pattern}(?:/{COMPONENT.pattern})?",
                 "The name of an app, or of its backing component after it and a slash.")
EitherText = Annotated[AppName, by(parse_app_or_backing), WithJsonSchema(text_like(EITHER, example="shop"))]
VersionText = Annotated[Version, by(parse_version), WithJsonSchema(VERSION_SCHEMA)]
ImageText = Annotated[str, by(parse_image_text), WithJsonSchema(text_like(IMAGE_TEXT, example="acme/shop:v2"))]
Variables = Annotated[
    dict[Annotated[str, by(parse_env_name)], Annotated[str, by(parse_variable)]],
    WithJsonSchema({
        "type": "object", "additionalProperties": False, "examples": [{"LOG_LEVEL": "debug"}],
        "patternProperties": {ecma(rf"(?!DEPLOYCTL_){ENV_NAME.pattern}"): {
            "type": "string", "maxLength": LONGEST_VALUE, "pattern": r"^[^\u0000]*$"}}})]
ReasonText = Annotated[str, by(parse_reason), WithJsonSchema(text_like(REASON, example="checkout answered 500"))]
NoteText = Annotated[str, by(parse_note), WithJsonSchema(text_like(NOTE, example="the cart page is slow"))]
PersonText = Annotated[str, by(_as(PERSON)), WithJsonSchema(text_like(PERSON, example="mara"))]
TokenText = Annotated[str, by(_as(TOKEN_NAME)), WithJsonSchema(text_like(TOKEN_NAME, example="ci-shop"))]
_WORD = {"type": "string", "maxLength": LONGEST_WORD, "pattern": r"^[^\u0000]*$"}
CommandWords = Annotated[tuple[str, ...], by(parse_command), WithJsonSchema({
    "type": "array", "minItems": 1, "maxItems": MOST_WORDS, "prefixItems": [{**_WORD, "minLength": 1}], "items": _WORD,
    "examples": [["bin/report", "--today"]]})]
CommandSeconds = Annotated[int, by(parse_whole, low=1, high=3600),
                           WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 3600})]
ScopeApp = Annotated[str, by(parse_scope_app), WithJsonSchema(
    {"anyOf": [{"const": ALL}, text_like(APP, but=("server", "example"))], "description": "An app, or * for all."})]
RoleWord = Annotated[str, one_of(*Role), WithJsonSchema({"type": "string", "enum": list(map(str, Role))})]
PullWord = Annotated[str, one_of(*PullPolicy), WithJsonSchema({"type": "string", "enum": list(map(str, PullPolicy))})]
ScopeWord = Annotated[str, one_of(*SCOPE_ROLES), WithJsonSchema({"type": "string", "enum": list(SCOPE_ROLES)})]
Flag = Annotated[bool, by(parse_flag), WithJsonSchema({"type": "boolean"})]
SpanField = Annotated[float, by(parse_span), WithJsonSchema(text_like(SPAN_GRAMMAR, example="10m"))]
KindText = Annotated[str, by(_as(WORD)), WithJsonSchema(text_like(WORD, example="promoted"))]
WhoText = Annotated[str, by(_as(WHO)), WithJsonSchema(text_like(WHO, example="mara"))]
LookFor = Annotated[str, by(_as(TEXT)), WithJsonSchema(text_like(TEXT, example="timeout"))]
Rows = Annotated[int, *in_query(1, 1000)]
ReleaseNumber = Annotated[int, by(parse_whole, low=1, high=LAST_RELEASE),
                          WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LAST_RELEASE, "examples": [5]})]
Lines = Annotated[int, *in_query(0, 10_000)]
RowId = Annotated[int, *in_query(1, 10**15)]
LinkMinutes = Annotated[float, *amount(1, 1440)]
TokenDays = Annotated[float, *amount(1, 3650)]
SecretValue = Annotated[str, by(parse_secret_value), WithJsonSchema({
    "type": "string", "minLength": 1, "maxLength": 40_000, "format": "password", "description": SECRET_VALUE.sentence})]
PasswordText = Annotated[str, by(parse_password), WithJsonSchema(text_like(PASSWORD) | {"format": "password"})]
