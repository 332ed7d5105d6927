"""The names of our cookies. A cookie knows no port: a browser sends those of a dashboard to every app under the same
host name, and every app there can set them. So their names distinguish them from all others.

The patterns work with any regular expression dialect, including POSIX.
"""

from __future__ import annotations

PREVIEW = "dctl_v"  # names the version that its client wants to see
THEME, KEYS = "theme", "keys"
DASHBOARD = f"(__Host-)?deployctl_[0-9a-f]{{16}}(_{THEME}|_{KEYS})?"  # of any home: several share a host name
TOKEN_PATTERN = "dctl_[A-Za-z0-9_-]{43}"  # noqa: S105  how one looks


def session_cookie(home_id: str, *, secure: bool) -> str:
    """Return the name of the session cookie; under TLS it is bound to its host."""
    return f"{'__Host-' * secure}deployctl_{home_id}"


def choice_cookie(home_id: str, choice: str) -> str:
    """Return the name of the cookie for a dashboard preference: `choice` is THEME or KEYS."""
    return f"deployctl_{home_id}_{choice}"
