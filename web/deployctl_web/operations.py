"""Where forms and API meet the use cases: a verb of the table, carried out for the requesting user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import g

from deployctl.dataclass import replace
from deployctl.domain.host.access import Role
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.names import AppName
from deployctl.errors import Invalid, NotPermitted
from deployctl.ports import Services
from deployctl.usecases.read_facts import target_of
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.verbs.row import ParamKind, Verb
from deployctl_web.live.jobs import Job
from deployctl_web.security.rights import Right
from deployctl_web.state import web_state


def perform(verb: Verb, app: AppName, given: Mapping[str, Any], options: ChangeOptions) -> Moved | Done | Job:
    """Do it with the given parameters, by name. What is not done within a moment continues as a job, which is returned.
    Raises what the use case raises, if it does so within that moment."""
    if verb.takes_component:
        with web_state().pool.lend(g.who.actor) as s:
            app, component = target_of(app, given.get("component"), s)
        given = {**given, "component": component}
    arguments = _arguments(verb, given)
    options = replace(options, still_may=still_may(g.right, app))
    waits = web_state().waits
    job = web_state().jobs.begin(verb.name, app, g.who.actor, lambda s: verb.act()(app=app, s=s, options=options, **arguments))
    at_once = verb.route is not None and verb.route.at_once
    return job.outcome() if job.wait(waits.switch if at_once else waits.glance) else job


def _arguments(verb: Verb, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the use case's own arguments. Raises Invalid before a thread is started for nothing."""
    arguments = dict(verb.arguments(given))
    for param in verb.params:
        if param.kind == ParamKind.VERSION and param.required and arguments[param.name] is None:
            raise Invalid("Name a version. Nothing was done.", code="usage")
        if param.kind == ParamKind.PULL and arguments[param.name]:
            arguments[param.name] = PullPolicy(arguments[param.name])
    return {**arguments, "any_image": g.who.may(Role.ADMIN, None)} if verb.any_image else arguments


def still_may(right: Right, app: AppName) -> Callable[[Services], None]:
    """Return what raises NotPermitted once that right no longer allows to change the app."""
    def require(s: Services) -> None:
        now = right.ask(s)
        if now is None or not now.may(Role.DEPLOYER, app):
            raise NotPermitted(f"{right.who.name} is no longer allowed to change {app}. Nothing was changed.",
                               code="rights_changed")

    return require
