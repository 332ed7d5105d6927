"""The trail of what was tried and refused: an audit without it would only show who succeeded."""

from __future__ import annotations

from flask import g, request

from deployctl.domain.names import AppName
from deployctl.errors import DeployctlError, Invalid
from deployctl.web import identity
from deployctl.web.desk import desk
from deployctl.web.rules import asked_app
from deployctl.web.shield import SAFE

KIND = "refused"


def note_refusal(error: DeployctlError) -> None:
    """Write into the audit that somebody who is known was refused a change. Strangers are not written down here:
    they could fill the disk; their attempts to sign in are counted and told elsewhere."""
    who = g.get("who")
    if who is None or request.method in SAFE:
        return
    data = {**identity.origin().data, "code": error.code, "route": request.endpoint or "-"}
    try:
        with desk().pool.lend(who.actor) as s:
            s.ledger.event(KIND, f"{_verb()} was refused: {error.message}"[:500], at=s.clock.utc(), actor=who.actor,
                           app=_app(), data=data)
    except DeployctlError as e:  # the refusal itself must be answered, whatever the ledger says
        error.details.append(f"the audit could not be written: {e.message}")


def _verb() -> str:
    return (request.endpoint or "a change").rpartition(".")[2].replace("_", " ")


def _app() -> AppName | None:
    try:
        return asked_app()
    except (DeployctlError, Invalid):
        return None
