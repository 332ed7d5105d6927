"""Possible secrets are not shown: not on a page, in a response or in a comparison. The one place that hides them.

What is a secret is guessed from name and value, cautiously: a value hidden by mistake costs a look into a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deployctl.dataclass import replace
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle
    from deployctl.usecases.results import DiffLine

HIDDEN = "<hidden>"
_SECRET_NAME = pattern(
    r"SECRET|PASS|PWD|TOKEN|CREDENTIAL|PRIVATE|APIKEY|(?:^|[_.-])(?:KEY|AUTH|CERT|DSN|SALT|PIN|COOKIE|SIGNING|JWT)S?(?:$|[_.-])",
    re.IGNORECASE)
_WITH_PASSWORD = pattern(r"://[^/\s@]*@|\b(?:password|passwd|pwd|secret|token|key)\s*[=:]", re.IGNORECASE)
_LIKE_A_KEY = pattern(r"-----BEGIN |(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[A-Za-z0-9+/_=-]{24,}")
_LONGEST = 200  # characters that are shown


def shown(name: str, value: str) -> str:
    """Return the value, or HIDDEN if its name or form suggests a secret."""
    if _SECRET_NAME.search(name) or _WITH_PASSWORD.search(value) or _LIKE_A_KEY.search(value):
        return HIDDEN
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def redact_bundle(bundle: Bundle) -> Bundle:
    """Return the release spec without the values of variables that may be secrets. Its hash differs."""
    return replace(bundle, env=tuple((name, shown(name, value)) for name, value in bundle.env))


def redact_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """Return the differences; of a variable that may be a secret, of whichever component, only that it differs."""
    return [_redact(line) if line.group.rpartition(" ")[2] == "env" else line for line in lines]


def _redact(line: DiffLine) -> DiffLine:
    before, after = (None if value is None else shown(line.name, value) for value in (line.before, line.after))
    if HIDDEN not in {before, after}:
        return replace(line, before=before, after=after)
    return replace(line, before=None if before is None else HIDDEN, after=None if after is None else HIDDEN)
