"""`/api/v1`: the same use cases as the command line, for programs and for the scripts of our own pages."""

from __future__ import annotations

from flask import Flask

from deployctl_web.api import docs as api_docs
from deployctl_web.api import routes_change, routes_people, routes_read


def put_api(app: Flask) -> None:
    """Add the API to the application."""
    for blueprint in (routes_read.look, routes_change.move, routes_people.people, api_docs.docs):
        app.register_blueprint(blueprint)
