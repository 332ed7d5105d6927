"""Who acts, as history and notes name them."""

from __future__ import annotations

import os
import pwd


def who(via: str) -> str:
    """Return the actor as the history shows it: `mara (cli)`."""
    name = os.environ.get("SUDO_USER") or _login()
    return f"{name} ({via})"


def _login() -> str:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if found := os.environ.get(name):
            return found
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a uid without a name, as in many containers
        return f"uid {os.geteuid()}"
