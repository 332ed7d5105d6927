"""What deployctl prints about itself: its version, its help, a script, a unit."""

from __future__ import annotations

from deployctl import __version__
from deployctl.cli.rendering.forms import json_line
from deployctl.cli.session import CommandCall

SCHEMA = "deployctl/v1"


def say_version(session: CommandCall) -> None:
    tell(session, "Version", "version", __version__, text=f"deployctl {__version__}")


def tell(session: CommandCall, kind: str, key: str, value: str, *, text: str | None = None) -> None:
    """Print it: text, or the same as JSON."""
    look = session.look(session.out)
    if session.machine:
        session.write(json_line({"schema": SCHEMA, "kind": kind, "ok": True, key: value}, look))
    else:
        session.write(look.finish((value if text is None else text).splitlines()))
