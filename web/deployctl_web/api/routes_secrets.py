"""The calls about an app's secrets. A value comes in and never goes out: no answer, event, log or key of ours has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, g

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import backing_of
from deployctl.usecases.results import Done
from deployctl.usecases.secrets.list_secrets import list_secrets, listed
from deployctl.usecases.secrets.remove_secret import remove_secret
from deployctl.usecases.secrets.set_secret import set_secret
from deployctl_web.api.endpoint import Models, documented
from deployctl_web.security.authorization import needs, no_such_app
from deployctl_web.state import web_state

if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl_web.api.request_models import SecretBody, SecretRemoveBody

secrets = Blueprint("api_secrets", __name__, url_prefix="/api/v1")
asked = Models("request_models")
DEPLOYER = needs(Role.DEPLOYER)


@secrets.get("/apps/<app:app>/secrets")
@DEPLOYER
@documented("List the secrets of the app, without their values", Done,
            more="As `deployctl secret list APP -o json`: names, when each was set, and which versions have which value.")
def app_secrets(app: AppName) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        return listed(app, list_secrets(_whole(app), s))


@secrets.put("/apps/<app:app>/secrets/<secret_name>")
@DEPLOYER
@documented("Set a secret of the app", Done, body=asked.SecretBody,
            more="What runs keeps the value that it has; the next upgrade, to the same version too, takes this one.")
def secret_set(app: AppName, secret_name: str, body: SecretBody) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        return set_secret(_whole(app), secret_name, body.value.encode(), s)


@secrets.delete("/apps/<app:app>/secrets/<secret_name>")
@DEPLOYER
@documented("Remove a secret of the app with all its values", Done, body=asked.SecretRemoveBody,
            more="Rejected while a container needs it.")
def secret_remove(app: AppName, secret_name: str, body: SecretRemoveBody) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        return remove_secret(_whole(app), secret_name, s, confirmed=body.yes)


def _whole(app: AppName) -> AppName:
    """Return the app. Raises NotFound for a backing component, whose secrets are its app's."""
    if backing_of(app) is not None:
        raise no_such_app()
    return app
