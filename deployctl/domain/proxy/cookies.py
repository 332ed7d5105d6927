"""How the cookies of ours are called that a browser carries. A cookie knows no port: a browser hands those of a dashboard
to every app under the same host name, and every app there can set them. So their names tell them from all others.

The patterns are for any regular expressions, POSIX too.
"""

from __future__ import annotations

PREVIEW = "dctl_v"  # names the version that its visitor wants to see
THEME, KEYS = "theme", "keys"
DASHBOARD = f"(__Host-)?deployctl_[0-9a-f]{{16}}(_{THEME}|_{KEYS})?"  # of any home: several share a host name
TOKEN_PATTERN = "dctl_[A-Za-z0-9_-]{43}"  # noqa: S105  how one looks


def session_cookie(home_id: str, *, secure: bool) -> str:
    """Return the name of the one that signs a browser in; under TLS it is bound to its host."""
    return f"{'__Host-' * secure}deployctl_{home_id}"


def choice_cookie(home_id: str, choice: str) -> str:
    """Return the name of the one that keeps how the dashboard looks: `choice` is THEME or KEYS."""
    return f"deployctl_{home_id}_{choice}"
