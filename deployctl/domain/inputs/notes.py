"""The reason given for a change: validated alike on the command line, in a form and by the API."""

from __future__ import annotations

from deployctl.domain.inputs.grammar import Grammar, match
from deployctl.domain.inputs.plain_text import CONTROL

MAX_NOTE_CHARACTERS = 500  # characters
_SENTENCE = f"has at most {MAX_NOTE_CHARACTERS} characters, and no control characters but tabs and line breaks."
NOTE = Grammar("a note", rf"[^{CONTROL}]{{0,{MAX_NOTE_CHARACTERS}}}", f"A note {_SENTENCE}")
REASON = Grammar("a reason", rf"[^{CONTROL}\x09-\x0d\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
                             rf"[^{CONTROL}]{{0,{MAX_NOTE_CHARACTERS - 1}}}",
                 f"A reason begins with a character that is not blank, and {_SENTENCE}")


def parse_note(value: object, *, field: str = "") -> str:
    """Return the note. Raises Invalid: too long, or with control characters."""
    return match(value, NOTE, field)[0]


def parse_reason(value: object, *, field: str = "") -> str:
    """Return the note where one is required. Raises Invalid."""
    return match(value, REASON, field)[0]
