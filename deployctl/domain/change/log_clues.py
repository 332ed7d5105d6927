"""What the last lines of an app's log suggest about why it failed.

Logs are written for people, by programs we know nothing about: these are guesses. Only the likely cause that people are
shown depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from deployctl.pattern import pattern

MISSING = (
    pattern(r"\b([A-Z][A-Z0-9_]{2,})\b['\"`]?(?: environment variable)? (?:is |was )?"
               r"(?:not set|missing|required|undefined|must be set|not defined|unset)"),
    pattern(r"KeyError: ['\"]([A-Z][A-Z0-9_]{2,})['\"]"),
    pattern(r"(?:[Mm]issing|[Rr]equire[sd]?|[Uu]ndefined|[Uu]nset)[a-z ]*(?:variable|env)[a-z ]*:? "
               r"['\"`]?([A-Z][A-Z0-9_]{2,})"),
)
SETUID = pattern(  # sudo, su of busybox and shadow, doas, fusermount, newuidmap
    r"no new privileges|effective uid is not 0|must be (?:suid|setuid)|not installed setuid|must be run setuid|"
    r"(?:setuid|setgid|set[ug]roups?|initgroups)\b.*operation not permitted", re.IGNORECASE)
LAST_WORDS = pattern(r"\s*((?:[\w.$]*(?:Error|Exception)|panic|[Ff]atal(?: error)?|FATAL): .*\S)")


def missing_variable(logs: Sequence[str], given: Collection[str]) -> str | None:
    """Return the variable that the last such line reports as missing, unless the app was given it."""
    for line in reversed(logs):
        for known in MISSING:
            if (found := known.search(line)) and found[1] not in given:
                return str(found[1])
    return None


def refused_setuid(logs: Sequence[str]) -> str | None:
    """Return the last line in which a program asked for another user's privileges and did not get them."""
    line = next((line for line in reversed(logs) if SETUID.search(line)), None)
    return line and line.strip()[:160]


def last_error(logs: Sequence[str]) -> str | None:
    """Return the last line that names an exception or a fatal error."""
    found = next((found[1] for line in reversed(logs) if (found := LAST_WORDS.match(line))), None)
    return found and found[:200]
