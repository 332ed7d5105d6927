"""Which variables may be shown to users who may view an app: never one that is, or could be, a secret.

A guess from name and value, and a cautious one: a value hidden by mistake costs a look into a file.
"""

from __future__ import annotations

import re

from deployctl.pattern import pattern

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
