"""Characters that act on the display instead of being read: they control a terminal, end a line or reverse its
direction. A note, the reason given for a change, has none of them on any surface."""

from __future__ import annotations

import re

from deployctl.domain.inputs.grammar import Grammar, match
from deployctl.pattern import pattern

# As parts of a character class. Control characters are C0 except tab and line ends, DEL, and C1.
CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
LINE_ENDS = r"\t\n\r\u2028\u2029"
HALVES = r"\ud800-\udfff"  # of surrogate pairs: not valid in UTF-8
# Nothing that Python considers printable is among these: that is checked first, since these take long to compile.
ACTING = pattern(f"[{CONTROL}{DIRECTION}{HALVES}]")
ACTING_IN_A_LINE = pattern(f"[{CONTROL}{DIRECTION}{LINE_ENDS}{HALVES}]")


def visible(text: str) -> str:
    """Return the text, possibly several lines, with such characters escaped."""
    return text if text.replace("\n", "").isprintable() else ACTING.sub(_escape, text)


def visible_line(text: str) -> str:
    """Return the text as one line, with such characters escaped."""
    return text if text.isprintable() else ACTING_IN_A_LINE.sub(_escape, text)


def inert_json(text: str) -> str:
    r"""Return the JSON text with such characters as \u escapes: parsing it yields the same values."""
    return ACTING_IN_A_LINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


# -- notes ---------------------------------------------------------------------------------------------------------
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
