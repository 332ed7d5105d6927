"""The table: every verb in the order of the help text. A new verb is a row here and a file in usecases/."""

from __future__ import annotations

from deployctl.verbs.change import CHANGES
from deployctl.verbs.manage import MANAGE
from deployctl.verbs.row import Route, Verb
from deployctl.verbs.view import LOOK, START

SECTIONS = ("Start", "Change", "Inspect", "Manage")
VERBS = {verb.name: verb for verb in (*START, *CHANGES, *LOOK, *MANAGE)}
ALIASES = {"ps": "status", "releases": "history", "deploy": "upgrade",
           "remark": "annotate", "user end": "user logout"}  # hidden; a note on stderr names the present command


def below(group: str) -> list[str]:
    """Return the words that may follow `group`, in the order of the help text."""
    if group:
        return [name.removeprefix(f"{group} ") for name in VERBS if name.startswith(f"{group} ")]
    return [name for name in VERBS if " " not in name]


def deployments() -> frozenset[str]:
    """Return the names of the verbs that are shown as a deployment while in progress."""
    return frozenset(verb.name for verb, route in routes().values() if route.deploys)


def routes() -> dict[str, tuple[Verb, Route]]:
    """Return the verbs that the API and the dashboard also offer, by name."""
    return {verb.name: (verb, verb.route) for verb in CHANGES if verb.route is not None}
