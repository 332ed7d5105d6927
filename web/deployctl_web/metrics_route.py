"""The route of /metrics. Its implementation is loaded by the first scrape: most homes have no monitor."""

from __future__ import annotations

from flask import Blueprint, Response, request

from deployctl_web.security.authorization import SIGNED_IN, needs

pages = Blueprint("metrics", __name__)


@pages.get("/metrics")
@needs(SIGNED_IN)
def metrics() -> Response:
    from deployctl_web.metrics import render

    body, mimetype = render(request.headers.get("Accept", ""))
    return Response(body, content_type=mimetype)
