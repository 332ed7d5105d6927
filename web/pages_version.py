"""One version: what exactly it runs with, and how its last deployment went. Nothing here asks the engine."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, render_template, request

from deployctl.domain.access import Role
from deployctl.domain.capabilities import given_back, kept_text
from deployctl.domain.deployment import Deployment
from deployctl.domain.names import AppName
from deployctl.domain.release import Release
from deployctl.ports import Services
from deployctl.usecases.observe import no_such_version
from deployctl.usecases.views import deployment_json, instance_json
from deployctl.web.desk import desk
from deployctl.web.hidden import hidden_json, shown_env
from deployctl.web.look import look_at
from deployctl.web.pages_app import charted, the_app
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
                           go=look.ways.get(release.number), env=shown_env(release.bundle),
                           given_back=list(given_back(release.bundle.cap_add)),
                           kept=kept_text(release.cap_drop, release.bundle.cap_add),
                           one=next((i for i in look.view.instances if i.release == release.number), None),
                           **charted(name, only=release.number))


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


def find_release(app: AppName, version: str, s: Services, *, number: int | None = None) -> tuple[Release, list[Release]]:
    """Return what the version means, its newest proven release or else its newest one, and all of that version."""
    known = s.ledger.releases(app, limit=MOST)
    same = [r for r in known if r.version == version and number in {None, r.number}] or [
        r for r in known if r.version == version]
    if not same:
        raise no_such_version(app, version[:128], [r.version for r in known])
    return next((r for r in same if r.proven_at), same[0]), [r for r in known if r.version == version]


def _last(app: AppName, number: int, s: Services) -> Deployment | None:
    return next((d for d in s.ledger.deployments(app, limit=LOOKED_AT) if d.target == number), None)
