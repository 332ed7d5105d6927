"""The record of rejected attempts: an audit log without it would only show who succeeded."""

from __future__ import annotations

import time

from flask import g, request

from deployctl.domain.host.denied_changes import MAX_DENIED_A_MINUTE, REFUSED, RefusedChange
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, Invalid
from deployctl_web.problems import status_of
from deployctl_web.security import identity
from deployctl_web.security.authorization import asked_app
from deployctl_web.security.request_checks import SAFE
from deployctl_web.state import web_state

# Statuses that mean missing permission. Users with permission always learn why something is not done: at night one must know.
NOT_ALLOWED = frozenset({401, 403, 404, 421})


class TooManyRefusals(DeployctlError):
    code = "too_many_requests"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(f"More than {MAX_DENIED_A_MINUTE} of your changes were rejected within a minute. Nothing was done. "
                         f"Changes that you are allowed to make are unaffected; retry others in {max(1.0, retry_after):.0f} s.",
                         remedy=["deployctl user list   # what your role is"])


def note_refusal(error: DeployctlError) -> DeployctlError:
    """Count in the audit log that a known user was denied a change, and return the error to respond with: another one
    if it happens too often. Unknown clients are not recorded here: they could fill the disk; their attempts to sign in
    are counted elsewhere."""
    who = g.get("who")
    if who is None or request.method in SAFE:
        return error
    try:
        with web_state().pool.lend(who.actor) as s:
            s.ledger.note_refusal(RefusedChange(
                REFUSED, who.actor, request.endpoint or "-", f"{_verb()} was rejected: {error.message}", s.clock.utc(), _app(),
                {**identity.origin().data, "code": error.code, "route": request.endpoint or "-"}))
    except DeployctlError as e:  # the denial itself must be sent, whatever the ledger does
        error.details.append(f"the audit log could not be written: {e.message}")
    if status_of(error) not in NOT_ALLOWED:
        return error
    wait = web_state().refusals.count(who.person, time.monotonic())
    return TooManyRefusals(wait) if wait else error


def _verb() -> str:
    return (request.endpoint or "a change").rpartition(".")[2].replace("_", " ")


def _app() -> AppName | None:
    try:
        return asked_app()
    except (DeployctlError, Invalid):
        return None
