"""`GET /events`: server-sent events for one page. One stream occupies one thread, so their number is limited."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from flask import Blueprint, Response, g, request

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, parse_app_or_backing
from deployctl.errors import DeployctlError, Invalid
from deployctl_web.live.event_messages import EventMessage, Stream
from deployctl_web.security.authorization import SIGNED_IN, needs, no_such_app
from deployctl_web.security.rights import RIGHTS_CHECK_SECONDS, Right
from deployctl_web.state import WebState, web_state

MAX_ID_DIGITS = 18  # of a message id
MOST_APPS = 50  # that one browser watches
# milliseconds after which a browser returns whose stream made room; until then its page polls
RETRY_MILLISECONDS = 5000

BEAT = "event: beat\ndata: {}\n\n"  # which a page can hear, unlike a comment: without it a connection that is gone looks quiet
ANEW = "id: \n\n"  # makes the browser forget the last message: what it shows by then may be more than it may see now

pages = Blueprint("stream", __name__)


@pages.get("/events")
@needs(SIGNED_IN)
def events() -> Response:
    """Stream changes of the named apps, or of all that this user may see: with `all`, or without a name."""
    here, named = web_state(), _named()
    apps = None if "all" in request.args or not named else named
    last = request.headers.get("Last-Event-ID", "")
    known = int(last) if last.isascii() and last.isdecimal() and len(last) < MAX_ID_DIGITS else None
    opened = here.broker.open(g.who, apps, closely=named, last=known,
                           gone=request.environ.get("waitress.client_disconnected", bool))
    answer = Response(_tell(opened, here, g.right), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"  # for an nginx in front
    answer.call_on_close(lambda: here.broker.leave(opened))
    return answer


def _named() -> frozenset[AppName]:
    """Return the apps that were named. Raises NotFound for one that does not exist for this user."""
    return frozenset(_app(text) for text in request.args.getlist("app")[:MOST_APPS])


def _app(text: str) -> AppName:
    try:
        app = parse_app_or_backing(text)
    except Invalid:
        raise no_such_app() from None
    if not g.who.may(Role.VIEWER, app):
        raise no_such_app()
    web_state().status_cache.app(app)
    return app


def _tell(stream: Stream, here: WebState, right: Right) -> Iterator[str]:
    """Yield messages until nobody listens, the session has ended, or its rights have changed: what they allow now, the
    browser requests again. Nothing that was read after that is sent."""
    yield "retry: 1000\n\n"
    with suppress(DeployctlError):  # if the ledger cannot be read, it is unknown who may see what
        yield from _messages(stream, here, right)
    if stream.displaced:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"


def _messages(stream: Stream, here: WebState, right: Right) -> Iterator[str]:
    told_at, beat = here.clock.now(), here.waits.beat
    while not stream.over:
        message = here.broker.snapshot(stream) if stream.missed else stream.next(min(RIGHTS_CHECK_SECONDS, beat))
        if not right.holds():
            yield ANEW
            return
        if message or here.clock.now() - told_at >= beat:
            yield text_of(message) if message else BEAT
            told_at = here.clock.now()


def text_of(message: EventMessage) -> str:
    """Return the message in the wire format of server-sent events."""
    return f"id: {message.id}\nevent: {message.kind}\ndata: {json.dumps(message.data, default=str)}\n\n"
