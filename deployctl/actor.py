"""Who acts on the command line, as history and notes name them."""

from __future__ import annotations

import os
import pwd

from deployctl.domain.host.actor import Actor, Via


def who(via: Via) -> Actor:
    """Return the user who typed this: the one behind `sudo`, else the login, else the numeric uid."""
    return Actor(os.environ.get("SUDO_USER") or _login(), via)


def _login() -> str:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if found := os.environ.get(name):
            return found
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a uid without a name, as in many containers
        return f"uid {os.geteuid()}"
