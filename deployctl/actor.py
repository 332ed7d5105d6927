"""Who acts, as history and notes name them."""

from __future__ import annotations

import getpass
import os


def who(via: str) -> str:
    """Return the actor as the history shows it: `mara (cli)`."""
    name = os.environ.get("SUDO_USER") or _login()
    return f"{name} ({via})"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in many containers
        return f"uid {os.geteuid()}"
