"""Questions before something is done: a page of their own without JavaScript, with it the inside of a dialog."""

from __future__ import annotations

from flask import Blueprint, g, render_template, request

from deployctl.domain.host.access import Role
from deployctl.domain.images.engine_keys import all_weakenings
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.names import AppName, Version, backing_of, parse_version
from deployctl.errors import DeployctlError, Invalid, NotFound, NothingToGoBackTo
from deployctl.ports import Services
from deployctl.usecases.change.prune import preview_prune
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.read_facts import no_such_version
from deployctl.usecases.view.deployable import DeployableTag, list_deployable
from deployctl.usecases.view.versions import VersionLine
from deployctl.verbs.table import routes
from deployctl_web.pages.app import the_app
from deployctl_web.pages.parts.bounded_call import call_within
from deployctl_web.pages.parts.confirmations import (
    KnownFacts,
    Question,
    ask_to_move,
    ask_to_prune,
    ask_to_restart,
    ask_to_stop,
)
from deployctl_web.pages.parts.page_model import AppPage, look_at
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("ask", __name__)
TITLES = {verb.name: route.form for verb, route in routes().values() if route.form}
QUESTIONS = {verb.name: route.question for verb, route in routes().values()}
LIST_SECONDS = 2.0  # that the form waits for the engine's list of images
KNOWN = 50  # versions that are suggested while typing


@pages.get("/apps/<app:app>/ask")
@needs(Role.DEPLOYER)
def ask(app: str) -> str:
    """Ask what `verb` would ask; `to` is the version. Raises Invalid, NotFound."""
    verb, look = request.args.get("verb") or "rollback", look_at(the_app())
    question = _question(verb, look)
    return _shown("_ask.html", "ask.html", a=look, q=question)


@pages.get("/apps/<app:app>/deploy")
@needs(Role.DEPLOYER)
def deploy(app: str) -> str:
    """Ask which version, from which image and why. The app may have no more than a file yet."""
    verb, name = request.args.get("verb", "upgrade"), the_app()
    if verb not in TITLES:
        raise Invalid("Unknown action.")
    with web_state().pool.lend(g.who.actor) as s:
        row = s.ledger.find_app(name)
        if row is None and name not in s.app_files():
            raise NotFound("there is no such app here.", remedy=[f"deployctl init {name} --image IMAGE --port PORT"])
        known, given = s.ledger.versions(name, limit=KNOWN), _given_back(name, s)
    to = request.args.get("to", "")
    version = parse_version(to) if to else None
    tags, tags_wrong = _tags(name)
    return _shown("_deploy.html", "deploy.html", app=name, revision=row.revision if row else 0, verb=verb, known=known,
                  title=f"Upgrade {name}" if backing_of(name) else TITLES[verb],
                  to=version or "", under=look_at(name).under if row else None,
                  any_image=g.who.may(Role.ADMIN, None), given_back=given, tags=tags, tags_wrong=tags_wrong,
                  **_foreseen(name, version if verb == "upgrade" else None))


def _tags(app: AppName) -> tuple[tuple[DeployableTag, ...], str]:
    """Return the tags on this server, and why there are none to show."""
    try:
        return call_within(lambda s: list_deployable(app, s), g.who.actor, what="the list of images", wait=LIST_SECONDS), ""
    except DeployctlError as e:
        return (), e.message


def _foreseen(app: AppName, version: Version | None) -> dict[str, object]:
    """Return what an upgrade to that version would change, or why it is unknown. Nothing is pulled."""
    if version is None:
        return {"changes": None, "warnings": (), "first": (), "why_not": ""}
    try:
        found = call_within(lambda s: preview_upgrade(app, version, s, pull=PullPolicy.NEVER), g.who.actor,
                            what="what would change")
    except DeployctlError as e:
        return {"changes": None, "warnings": (), "first": (), "why_not": e.message}
    return {"changes": found.changes, "warnings": found.warnings, "first": [one.plan.app for one in found.first], "why_not": ""}


def _given_back(app: AppName, s: Services) -> list[str]:
    """Return the addresses that the app's file gives up; an invalid file is reported by the deployment."""
    try:
        return all_weakenings(s.app_file(app).templates)
    except DeployctlError:
        return []


def _shown(piece: str, page: str, **more: object) -> str:
    return render_template(piece if request.headers.get("X-Fragment") else page, piece=piece, **more)


def _question(verb: str, look: AppPage) -> Question:
    question = QUESTIONS.get(verb)
    if question == "prune":
        name = look.app.name
        steps = call_within(lambda s: [step.sentence for step in preview_prune(name, s).plan.steps], g.who.actor,
                            what="what would go")
        return ask_to_prune(name, steps)
    if question == "restart":
        return ask_to_restart(look.view)
    if question == "stop":
        return ask_to_stop(_line(look, request.args.get("to", "")), look.view)
    if question != "move":
        raise Invalid("Unknown action.")
    return _move(verb, look)


def _move(verb: str, look: AppPage) -> Question:
    app, view, to = look.app.name, look.view, request.args.get("to", "")
    with web_state().pool.lend(g.who.actor) as s:
        changes = s.ledger.changes(app, limit=1)
        if verb == "undo":
            left = changes[0].source if changes else None
            line = next((one for one in look.versions.lines if one.release == left), None)
            if line is None:
                raise NothingToGoBackTo(f"{app} has no traffic switch that could be undone.")
        else:
            number = request.args.get("release", type=int)
            line = look.versions.at(number or view.rollback_release) if number or not to else None
            line = line or _line(look, to)
        live = next((one for one in look.versions.lines if view.active and one.release == view.active.release), None)
        active = s.ledger.find_release(app, live.release) if live else None
        return ask_to_move(verb, KnownFacts(view, line, live, active, s.ledger.find_release(app, line.release), changes,
                                       look.under, look.warm))


def _line(look: AppPage, version: str) -> VersionLine:
    if not version:
        raise NothingToGoBackTo(f"{look.app.name} has no rollback target: no other version has been live and healthy.")
    found = look.versions.find(parse_version(version))
    if found is None:
        raise no_such_version(look.app.name, version, [line.version for line in look.versions.lines])
    return found
