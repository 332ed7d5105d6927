"""`/api/v1`: the same use cases as the command line, for programs and for the scripts of our own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, g

from deployctl.web import api_docs, api_look, api_move, api_people
from deployctl.web.api_call import calls_of
from deployctl.web.shield import SAFE

CHANGES = "60 per minute"  # of one principal, by calls and forms; going back and stopping what goes wrong are not counted


def put_api(app: Flask, limited: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Let the application answer the API; `limited` bounds how often a call may be made."""
    for blueprint in (api_look.look, api_move.move, api_people.people, api_docs.docs):
        app.register_blueprint(blueprint)
    changing = {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - SAFE}
    for name, call in calls_of(app).items():
        if name in changing and not call.unlimited:
            app.view_functions[name] = limited(app.view_functions[name])


def whose() -> str:
    """Return whose changes are counted."""
    return str(g.who.actor)
