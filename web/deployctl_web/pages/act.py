"""Forms of pages that work without JavaScript: the same verbs as the API; the response is the page that follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from deployctl.domain.host.access import Role
from deployctl.domain.images.image_source import ImageNews, image_sentence
from deployctl.domain.inputs.grammar import shown
from deployctl.domain.inputs.names import AppName, Version, backing_of, parse_component, parse_version
from deployctl.domain.proxy.traffic import Precision
from deployctl.errors import ConfirmationNeeded, Invalid, LeaseHeld, StateChanged
from deployctl.usecases.results import Done, Moved
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.verbs.row import Param, ParamKind, Route, Verb
from deployctl.verbs.table import routes
from deployctl_web.former_names import form_text
from deployctl_web.live.jobs import Job
from deployctl_web.operations import perform
from deployctl_web.pages.app import charted, the_app
from deployctl_web.pages.parts.page_model import dismiss, look_at
from deployctl_web.pages.parts.template_filters import by, sentence
from deployctl_web.pages.parts.times import ago
from deployctl_web.security import audit_log
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("act", __name__)
WAITING = 300.0  # seconds that a user who chose to wait is queued
MAX_WAITING_JOBS = 5  # jobs of one app that are in progress or wait: each has a thread
PageAnswer = Response | tuple[str, int]


def _form(verb: Verb, route: Route) -> Callable[[str], PageAnswer]:
    """Return the view of that verb's form."""
    @needs(Role(route.role))
    def view(app: str) -> PageAnswer:
        return _act(verb, the_app(), at_revision=route.at_revision)

    view.__name__ = verb.name
    return view


for _verb, _route in routes().values():
    _view = _form(_verb, _route)
    for _name in filter(None, (_verb.name, _route.former)):
        pages.add_url_rule(f"/apps/<app:app>/{_name}", _verb.name, _view, methods=["POST"])


@pages.post("/apps/<app:app>/imported/dismiss", endpoint="dismiss_gaps")
@needs(Role.DEPLOYER)
def dismiss_gaps(app: str) -> Response:
    """Drop what an import left open: somebody has read it."""
    with web_state().pool.lend(g.who.actor) as s:
        s.imports().keep_gaps(the_app(), ())
    return redirect(url_for("app.one", app=app))


@pages.post("/apps/<app:app>/dismiss", endpoint="dismiss")
@needs(Role.VIEWER)
def dismiss_failure(app: str) -> Response:
    """Remember, for this browser, that the failure of a deployment was read."""
    number = request.form.get("deployment", "")
    if number.isascii() and number.isdecimal() and len(number) < 12:
        dismiss(the_app(), int(number))
    return redirect(url_for("app.one", app=app), 303)


def _act(verb: Verb, app: AppName, *, at_revision: bool) -> PageAnswer:
    """Do it and go on to the app's page. An error is shown with the live version, and with what can be done."""
    try:
        given = {param.name: FORM_FIELDS[param.kind](param)
                 for param in verb.params if param.body and param.kind in FORM_FIELDS}
        return _answered(verb.name, app, perform(verb, app, given, _options(given, at_revision=at_revision)))
    except ConfirmationNeeded as question:
        if g.via == "token":
            raise
        if verb.name == "upgrade":  # of a version that may not be here yet: the form itself is shown again
            return render_template("sure.html", app=app, verb=verb.name, question=question, form=_again()), 409
        return redirect(url_for("ask.ask", app=app, verb=verb.name, to=_named() or None,
                                release=_number(request.form.get("release", ""))), 303)
    except StateChanged as error:
        if g.via == "token":
            raise
        audit_log.note_refusal(error)
        return _outrun(app)
    except LeaseHeld as error:
        if g.via == "token":
            raise
        audit_log.note_refusal(error)
        return render_template("busy.html", app=app, verb=verb.name, error=error, form=_again()), 423


def _answered(verb: str, app: AppName, outcome: Moved | Done | Job) -> Response:
    web_state().status_cache.forget(app)
    if isinstance(outcome, Job):
        flash(f"{sentence(verb)}{f' of {_named()}' if _named() else ''} is in progress.", "good")
    elif isinstance(outcome, Done):
        flash(f"{sentence(outcome.sentence)}.{_news(outcome.image)}", "good")
    else:
        flash(_moved(outcome), f"moved {app} {outcome.revision}" if outcome.changed and verb != "upgrade" else "good")
    known = not isinstance(outcome, Job) or _in_ledger(app)
    return redirect(url_for("app.one", app=app) if known else url_for("apps.home"), 303)


def _news(news: ImageNews | None) -> str:
    return f" {image_sentence(news)}." if news else ""


def _moved(moved: Moved) -> str:
    return f"{_switched(moved)}{_news(moved.image)}"


def _switched(moved: Moved) -> str:
    if not moved.changed:
        return f"{moved.names[1]} is already live. Nothing was done."
    if backing_of(AppName(moved.app)):
        return f"{moved.app} runs {moved.names[1]}. Took {moved.total_ms / 1000:.1f} s."
    at_most = "at most " if moved.failed_precision is Precision.AT_MOST else ""
    lost = {None: "", 0: ", no request was lost"}.get(
        moved.failed_requests, f", {at_most}{moved.failed_requests} requests failed")
    return f"Traffic is on {moved.names[1]}. Took {moved.switch_ms / 1000:.2f} s{lost}."


def _outrun(app: AppName) -> PageAnswer:
    """Show the app as it is now, with who was faster. Nothing was done."""
    web_state().status_cache.forget(app)
    with web_state().pool.lend(g.who.actor) as s:
        last = next(iter(s.ledger.changes(app, limit=1)), None)
        target = s.ledger.find_release(app, last.target) if last and last.target is not None else None
    message = f"{app} was changed in the meantime." if backing_of(app) else "Traffic was switched in the meantime."
    if last is not None and not backing_of(app):
        message = (f"Traffic was switched to {target.version} {ago(last.at)} by {by(last.actor)}." if target
                else f"{app} was taken out of traffic {ago(last.at)} by {by(last.actor)}.")
    return render_template("app.html", a=look_at(app), outrun=f"{message} Your click was not carried out.", **charted(app)), 409


def _in_ledger(app: AppName) -> bool:
    with web_state().pool.lend(g.who.actor) as s:
        return s.ledger.find_app(app) is not None


# -- reading the form ------------------------------------------------------------------------------------------------------
def _named() -> str:
    return form_text("to_version") or form_text("version")


def _version(_param: Param) -> Version | None:
    return parse_version(_named().strip()) if _named() else None


def _note(param: Param) -> str:
    return form_text(param.body)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _whole(param: Param) -> int:
    number = _number(form_text(param.body).strip())
    if number is None or not (param.low or 0) <= number <= (param.high or number):
        raise Invalid(f"Write a number from {param.low} to {param.high}. Nothing was done.", code="usage")
    return number


def _choice(param: Param) -> str | None:
    """Return the chosen word; an empty one leaves it to the app's file."""
    word = request.form.get(param.body, "")
    if word and word not in param.choices:
        raise Invalid(f"{shown(word)} is none of {', '.join(param.choices)}. Nothing was done.", code="usage")
    return word or None


# How the fields of a form are read, by kind; kinds missing here are for the API only.
FORM_FIELDS: dict[str, Callable[[Param], Any]] = {
    ParamKind.VERSION: _version, ParamKind.NOTE: _note, ParamKind.REASON: _note, ParamKind.PULL: _choice,
    ParamKind.RELEASE: lambda param: _number(request.form.get(param.body, "")),
    ParamKind.IMAGE: lambda param: request.form.get(param.body, "").strip() or None,
    ParamKind.FLAG: lambda param: form_text(param.body) == "yes",
    ParamKind.COMPONENT: lambda param: parse_component(form_text(param.body)) if form_text(param.body) else None,
    ParamKind.NUMBER: _whole,
}  # fmt: skip


def _options(given: Mapping[str, Any], *, at_revision: bool) -> ChangeOptions:
    text = request.form.get("revision", "")
    known = text.isascii() and text.isdecimal() and len(text) <= 12
    if at_revision and not known:
        raise Invalid("The form did not name the revision of the page. Nothing was done.", remedy=["reload the page"])
    return ChangeOptions(given.get("note", ""), if_revision=int(text) if known and at_revision else None,
                confirmed=given.get("confirmed", False), lock_wait=_patience())


def _patience() -> float:
    """Return how long to wait for the lease: a user may choose to wait for a short while."""
    line = web_state().jobs.under_way(the_app())
    return WAITING if request.form.get("wait") == "yes" and len(line) < MAX_WAITING_JOBS else 0.0


def _again() -> dict[str, str]:
    """Return the fields of this form, to be sent again by a user who learned that the app is being changed."""
    kept = ("revision", "to_version", "release", "version", "image", "pull", "note", "yes")
    return {name: text for name in kept if (text := form_text(name))}
