"""The calls that change an app: one for each verb with a route, with the same results as on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.verbs.row import Route, Verb
from deployctl.verbs.table import routes
from deployctl_web.api.endpoint import EndpointAnswer, Models, documented
from deployctl_web.api.headers import wait_for
from deployctl_web.api.routes_read import operation_of
from deployctl_web.live.jobs import Job
from deployctl_web.operations import perform
from deployctl_web.security.authorization import needs

if TYPE_CHECKING:
    from deployctl.config.fields import ConfigTable

move = Blueprint("api_move", __name__, url_prefix="/api/v1")
GIVES: dict[str, type] = {one.__name__: one for one in (Moved, Done)}
bodies = Models("request_models", "BODIES")


def _view(verb: Verb, route: Route) -> Callable[..., Any]:
    """Return the view of that verb's call."""

    def view(app: AppName, body: ConfigTable, revision: int | None = None) -> EndpointAnswer:
        return _do(verb, app, body, revision)

    view.__name__ = verb.name
    call = documented(route.summary, GIVES[route.gives], more=route.more, body=bodies[route.body], moves=route.moves,
                      at_revision=route.at_revision, tag=GIVES[route.gives] is Moved, job=True, unlimited=verb.goes_back)
    return needs(Role(route.role))(call(view))


for _verb, _route in routes().values():
    _answer = _view(_verb, _route)
    for _name in filter(None, (_verb.name, _route.former)):
        move.add_url_rule(f"/apps/<app:app>/{_name}", _verb.name, _answer, methods=["POST"])


def _do(verb: Verb, app: AppName, body: ConfigTable, revision: int | None) -> EndpointAnswer:
    """Do it, wait as long as requested, and return the result or where to query it."""
    given = {param.name: getattr(body, param.body) for param in verb.params if param.body}
    options = ChangeOptions(given.get("note", ""), if_revision=revision, confirmed=given.get("confirmed", False))
    outcome = perform(verb, app, given, options)
    if not isinstance(outcome, Job):
        return _done(outcome)
    if wait_for(outcome):
        return _done(outcome.outcome())
    return EndpointAnswer(operation_of(outcome), 202, {"Location": f"/api/v1/operations/{outcome.id}"})


def _done(outcome: Moved | Done) -> EndpointAnswer:
    tag = {"ETag": f'"{outcome.revision}"'} if isinstance(outcome, Moved) else {}
    return EndpointAnswer(outcome, headers=tag)
