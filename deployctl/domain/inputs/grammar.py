"""Input is matched as a whole against a small ASCII grammar, or rejected.

Rejected input is shown escaped and shortened, so that no message carries a control character. `field` says in the
message what was expected; without it the message starts at the value, for callers that add the key themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from deployctl.dataclass import dataclass
from deployctl.errors import Invalid

MAX_SHOWN_CHARACTERS = 60  # characters of a rejected value that a message repeats


@dataclass(frozen=True, slots=True)
class Grammar:
    what: str
    pattern: str
    sentence: str


def match(text: object, grammar: Grammar, field: str, *, guess: Callable[[str], str] = str.strip) -> re.Match[str]:
    """Return the match of the whole text. `guess` turns a typo into what was likely meant; it is only suggested."""
    found = re.fullmatch(grammar.pattern, text) if isinstance(text, str) else None
    if found is None:
        raise refused(field, text, f"is not {grammar.what}", _suggestion(text, grammar, guess), grammar.sentence)
    return found


def _suggestion(text: object, grammar: Grammar, guess: Callable[[str], str]) -> str | None:
    if not isinstance(text, str) or not text.isascii() or len(text) > 500:
        return None
    likely = guess(text)
    return f"Did you mean {likely}?" if re.fullmatch(grammar.pattern, likely) else None


def refused(field: str, value: object, why: str, *remedy: str | None) -> Invalid:
    """Return the error that names the field, shows the value and says what to write instead."""
    return Invalid(f"{field} {shown(value)} {why}.".lstrip(), remedy=[line for line in remedy if line])


def shown(value: object) -> str:
    """Return any value as harmless ASCII of at most 60 characters, roughly as TOML would write it."""
    escaped = _written(value).replace("\x7f", "\\u007f")
    return escaped if len(escaped) <= MAX_SHOWN_CHARACTERS else escaped[: MAX_SHOWN_CHARACTERS - 3] + "..."


def _written(value: object) -> str:
    if isinstance(value, float):
        return str(value)
    try:
        return json.dumps(value[: MAX_SHOWN_CHARACTERS + 1] if isinstance(value, str) else value, default=str)
    except (ValueError, RecursionError):  # a number with thousands of digits, a list nested as deeply
        return f"({type(value).__name__})"
