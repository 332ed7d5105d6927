"""`/api/v1`: the same use cases as the command line, for programs and for the scripts of our own pages."""

from __future__ import annotations

from flask import Flask

from deployctl.web import api_docs, api_look, api_move, api_people


def put_api(app: Flask) -> None:
    """Let the application answer the API."""
    for blueprint in (api_look.look, api_move.move, api_people.people, api_docs.docs):
        app.register_blueprint(blueprint)
