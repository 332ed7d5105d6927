"""HAProxy's own error responses to an app's clients, beside the app's log."""

from __future__ import annotations

from flask import Blueprint, g, render_template

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import Rejection
from deployctl.errors import DeployctlError
from deployctl.usecases.view.rejections import refusals
from deployctl_web.pages.app import the_app
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("refusals", __name__)
MAX_REJECTIONS_SHOWN = 200  # lines of a page


@pages.get("/apps/<app>/logs/proxy")
@needs(Role.VIEWER)
def page(app: str) -> str:
    """Show them, latest first; a HAProxy that is not responding is reported on the page itself."""
    name, view = the_app(), web_state().status_cache.app(the_app()).value
    found, wrong = list[Rejection](), ""
    try:
        found = _read(name)
    except DeployctlError as e:
        wrong = e.message
    return render_template("refusals.html", view=view, found=found[::-1], wrong=wrong)


def _read(app: AppName) -> list[Rejection]:
    with web_state().pool.lend(g.who.actor) as s:
        return refusals(app, s, tail=MAX_REJECTIONS_SHOWN)
