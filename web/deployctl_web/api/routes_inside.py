"""The calls that run a command in a container, and return what it printed. Whether it ended well is its own matter: that it
ran is the success of the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flask import Blueprint, g

from deployctl.domain.host.access import Role
from deployctl.ports import Services
from deployctl.ports.inside import Streams
from deployctl.usecases.change.exec_inside import exec_inside
from deployctl.usecases.change.run_once import run_once
from deployctl.usecases.read_facts import target_of
from deployctl.usecases.results import Done
from deployctl_web.api.endpoint import EndpointAnswer, Models, documented
from deployctl_web.api.headers import wait_for
from deployctl_web.api.routes_read import operation_of
from deployctl_web.live.command_output import CommandOutput, collect
from deployctl_web.operations import still_may
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl_web.api.request_models import CommandBody

inside = Blueprint("api_inside", __name__, url_prefix="/api/v1")
asked = Models("request_models")
ADMIN = needs(Role.ADMIN)  # of the app: a command can read its secrets
ENDS = ("`exit_code`, `stdout` and `stderr` are in the result, at most 64 kB of each. After `timeout` seconds the command is "
        "ended, and `exit_code` is null. The audit log has the program, not its arguments.")


@inside.post("/apps/<app:app>/run")
@ADMIN
@documented("Run a command in a container of its own", Done, body=asked.CommandBody, job=True, secret=True,
            more=f"Like those of the live version, and removed afterwards. {ENDS}")
def run(app: AppName, body: CommandBody) -> EndpointAnswer:
    return _begin("run", app, body, lambda of, part, streams, s: run_once(of, body.command, streams, s, component=part))


@inside.post("/apps/<app:app>/exec")
@ADMIN
@documented("Run a command inside a container that runs", Done, body=asked.CommandBody, job=True, secret=True, more=ENDS)
def exec_command(app: AppName, body: CommandBody) -> EndpointAnswer:
    return _begin("exec", app, body, lambda of, part, streams, s: exec_inside(of, body.command, streams, s, component=part))


def _begin(verb: str, app: AppName, body: CommandBody,
           act: Callable[[AppName, ComponentName | None, Streams, Services], int]) -> EndpointAnswer:
    """Start it as a job, wait as long as requested, and return the result or where to query it."""
    with web_state().pool.lend(g.who.actor) as s:
        app, component = target_of(app, body.component, s)
    require = still_may(g.right, app)

    def run(s: Services) -> Done:
        require(s)
        s.ledger.event(f"command_{verb}", f"{verb} of {body.command[0]} in {component or app}", at=s.clock.utc(), actor=s.actor,
                       app=app, data={"program": body.command[0], "component": component or ""})
        return _done(verb, app, body.command, collect(lambda streams: act(app, component, streams, s), seconds=body.timeout))

    job = web_state().jobs.begin(verb, app, g.who.actor, run)
    if job.wait(web_state().waits.glance) or wait_for(job):
        return EndpointAnswer(job.outcome())
    return EndpointAnswer(operation_of(job), 202, {"Location": f"/api/v1/operations/{job.id}"})


def _done(verb: str, app: AppName, command: Sequence[str], output: CommandOutput) -> Done:
    how = "was ended: its time was over" if output.exit_code is None else f"ended with exit code {output.exit_code}"
    return Done(verb.capitalize(), app, f"{command[0]} {how}", extra={
        "exit_code": output.exit_code, "stdout": output.stdout, "stderr": output.stderr, "truncated": output.truncated})
