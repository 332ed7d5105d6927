"""Flag values, parsed at the edge: an empty value, or one that is a flag itself, is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from deployctl.verbs.row import Param, ParamKind


class BadValue(Exception):
    """A text that is not a valid value; the message follows the name of its flag."""


def filled(text: str) -> str:
    """Return the text; an empty one is an error in a script. Raises BadValue."""
    if not text.strip():
        raise BadValue("must not be empty.")
    return text


def reason(text: str) -> str:
    """Return a note that every file and stream can hold: bytes that are not UTF-8 are escaped. Raises Invalid."""
    from deployctl.domain.inputs.notes import parse_note

    return filled(parse_note(text.encode(errors="backslashreplace").decode(), field="-m"))


def named(text: str) -> str:
    """Return the text; one that looks like a flag is misplaced. Raises BadValue."""
    if text.startswith("-"):
        raise BadValue(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
    """Return the seconds of a duration written as in config files: 90s or 5m. Raises Invalid."""
    from deployctl.domain.inputs.quantities import parse_duration

    return parse_duration(text, field="the duration", low=0.001, high=30 * 86_400.0)


def listen(text: str) -> tuple[str, int]:
    """Return the address and the port. Raises Invalid."""
    from deployctl.domain.inputs.addresses import parse_listen_text

    return parse_listen_text(text, field="--listen")


def variables(texts: Iterable[str]) -> dict[str, str]:
    """Parse NAME=VALUE variables; a value never appears in a message.

    Raises BadValue (no value), Invalid (name or value)."""
    from deployctl.domain.inputs.names import parse_env_name, parse_env_value

    env = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            parse_env_name(name, field="--env")
            raise BadValue(f"{name} has no value; write {name}=VALUE.")
        env[parse_env_name(name, field="--env")] = parse_env_value(value, field=f"--env {name}")
    return env


def pull_policy(word: str | None) -> Any:
    """Return the PullPolicy of that name, None for None."""
    from deployctl.domain.images.image_source import PullPolicy

    return None if word is None else PullPolicy(word)


PARSERS: dict[str, Callable[[str], Any]] = {
    ParamKind.RAW: str, ParamKind.FILLED: filled, ParamKind.NAMED: named, ParamKind.IMAGE: named, ParamKind.FILE: named,
    ParamKind.NOTE: reason,
    ParamKind.REASON: reason, ParamKind.SPAN: seconds, ParamKind.LISTEN: listen,
}  # fmt: skip
TOGETHER: dict[str, Callable[[Any], Any]] = {  # checked once everything is parsed
    ParamKind.ENV: variables, ParamKind.PULL: pull_policy}


def finished(param: Param, value: Any) -> Any:
    """Return the value that the verb is called with. Raises BadValue, Invalid."""
    return TOGETHER[param.kind](value) if param.kind in TOGETHER else value
