"""One version: what exactly it runs with, and how two of them differ. Nothing here asks the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from deployctl.domain.access import Role
from deployctl.domain.deployment import Deployment
from deployctl.domain.env_words import HIDDEN, shown
from deployctl.domain.names import AppName, Version, parse_version
from deployctl.domain.release import Bundle, Release
from deployctl.errors import NotFound
from deployctl.ports import Services
from deployctl.usecases.diff import compare as differences
from deployctl.usecases.observe import no_such_version
from deployctl.usecases.results import DiffLine
from deployctl.usecases.views import deployment_json, instance_json, release_json
from deployctl.web.desk import desk
from deployctl.web.look import look_at
from deployctl.web.pages_app import the_app
from deployctl.web.rules import needs

pages = Blueprint("version", __name__)
MOST = 300  # releases among which a version is looked for
LOOKED_AT = 200  # deployments likewise


@pages.get("/apps/<app>/versions/<version>")
@needs(Role.VIEWER)
def page(app: str, version: str) -> str:
    name, look = the_app(), look_at(the_app())
    with desk().pool.lend(g.who.actor) as s:
        release, same = find_release(name, version, s, number=request.args.get("release", type=int))
        last = _last(name, release.number, s)
    line = next((one for one in look.versions.lines if one.release == release.number), None)
    return render_template("version.html", a=look, release=release, bundle=release.bundle, same=same, last=last, line=line,
                           go=look.ways.get(release.number), env=_env(release.bundle),
                           one=next((i for i in look.view.instances if i.release == release.number), None))


@pages.get("/apps/<app>/versions/<version>.json")
@needs(Role.VIEWER)
def twin(app: str, version: str) -> Response:
    name, view = the_app(), desk().board.app(the_app()).value
    with desk().pool.lend(g.who.actor) as s:
        release, same = find_release(name, version, s, number=request.args.get("release", type=int))
        last = _last(name, release.number, s)
    one = next((i for i in view.instances if i.release == release.number), None)
    return jsonify(schema="deployctl/v1", kind="Release", app=app, **hidden_json(release), role=one.role if one else "idle",
                   instance=instance_json(one), last_deployment=deployment_json(last),
                   siblings=[r.number for r in same if r.number != release.number])


@pages.get("/apps/<app>/compare")
@needs(Role.VIEWER)
def compare(app: str) -> str | Answer:
    """Show what differs from a to b; without names, from what serves back to what a rollback would bring."""
    name, view = the_app(), desk().board.app(the_app()).value
    with desk().pool.lend(g.who.actor) as s:
        known = list(dict.fromkeys(r.version for r in s.ledger.releases(name, limit=MOST)))
        if not request.args.get("a") and len(known) > 1:
            after = view.active.version if view.active else known[0]
            before = view.back or next(version for version in known if version != after)
            return redirect(url_for("version.compare", app=app, a=before, b=after))
        pair = _pair(name, s) if len(known) > 1 else None
    lines = hidden_lines(differences(pair[0].bundle, pair[1].bundle)) if pair else []
    return render_template("compare.html", view=view, known=known, pair=pair, groups=_grouped(lines))


@pages.get("/apps/<app>/compare.json")
@needs(Role.VIEWER)
def compare_twin(app: str) -> Response:
    with desk().pool.lend(g.who.actor) as s:
        before, after = _pair(the_app(), s)
    lines = hidden_lines(differences(before.bundle, after.bundle))
    return jsonify({"schema": "deployctl/v1", "kind": "Diff", "app": app,
                    "from": {"version": before.version, "release": before.number},
                    "to": {"version": after.version, "release": after.number},
                    "differences": [asdict(line) for line in lines]})


def find_release(app: AppName, version: str, s: Services, *, number: int | None = None) -> tuple[Release, list[Release]]:
    """Return what the version means, its newest proven release or else its newest one, and all of that version."""
    known = s.ledger.releases(app, limit=MOST)
    same = [r for r in known if r.version == version and number in {None, r.number}] or [
        r for r in known if r.version == version]
    if not same:
        raise no_such_version(app, version[:128], [r.version for r in known])
    return next((r for r in same if r.proven_at), same[0]), [r for r in known if r.version == version]


def _pair(app: AppName, s: Services) -> tuple[Release, Release]:
    found = [find_release(app, _named(request.args.get(key, "")), s)[0] for key in ("a", "b")]
    return found[0], found[1]


def _named(text: str) -> Version:
    if not text:
        raise NotFound("Two versions are needed to compare.")
    return parse_version(text)


def _last(app: AppName, number: int, s: Services) -> Deployment | None:
    return next((d for d in s.ledger.deployments(app, limit=LOOKED_AT) if d.target == number), None)


# -- what may be a secret is not shown -----------------------------------------------------------------------------------
def _env(bundle: Bundle) -> list[tuple[str, str]]:
    return [(name, shown(name, value)) for name, value in bundle.env]


def hidden_json(release: Release) -> dict[str, Any]:
    """Return the release as JSON, without values that may be secrets."""
    return release_json(replace(release, bundle=replace(release.bundle, env=tuple(_env(release.bundle))))) | {
        "bundle_hash": release.bundle.hash()}


def hidden_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """Return the differences; of a variable that may be a secret only that it differs."""
    return [_hidden(line) if line.group == "env" else line for line in lines]


def _hidden(line: DiffLine) -> DiffLine:
    values = [value for value in (line.before, line.after) if value is not None]
    if all(shown(line.name, value) != HIDDEN for value in values):
        return replace(line, before=_short(line.before), after=_short(line.after))
    return replace(line, before=None if line.before is None else HIDDEN, after=None if line.after is None else HIDDEN)


def _short(value: str | None) -> str | None:
    return None if value is None else shown("", value)


def _grouped(lines: Sequence[DiffLine]) -> list[tuple[str, list[DiffLine]]]:
    groups = ("image", "env", "limits", "command", "health", "ports", "stop")
    return [(group, [line for line in lines if line.group == group]) for group in groups]
