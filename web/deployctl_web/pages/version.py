"""One version with its release spec, and how its last deployment went. Nothing here queries the engine."""

from __future__ import annotations

from flask import Blueprint, g, render_template, request

from deployctl.domain.host.access import Role
from deployctl.domain.images.capabilities import given_back, kept_text
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.usecases.read_facts import remembered, require_app, require_release
from deployctl.usecases.redaction import redact_bundle
from deployctl_web.pages.app import charted, the_app
from deployctl_web.pages.parts.page_model import look_at
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("version", __name__)
MAX_RELEASES_SHOWN = 300  # releases of one version that are listed
MAX_VERSION_CHARACTERS = 128  # characters of a version


@pages.get("/apps/<app>/versions/<version>")
@needs(Role.VIEWER)
def page(app: str, version: str) -> str:
    name, look = the_app(), look_at(the_app())
    with web_state().pool.lend(g.who.actor) as s:
        release, same = find_release(name, version, s, number=request.args.get("release", type=int))
        last = s.ledger.last_deployment(name, release.number)
    line = next((one for one in look.versions.lines if one.release == release.number), None)
    return render_template("version.html", a=look, release=release, bundle=release.bundle, same=same, last=last, line=line,
                           go=look.ways.get(release.number), env=redact_bundle(release.bundle).env,
                           given_back=list(given_back(release.bundle.cap_add)),
                           kept=kept_text(release.cap_drop, release.bundle.cap_add),
                           one=next((i for i in look.view.instances if i.release == release.number), None),
                           **charted(name, only=release.number))


def find_release(app: AppName, version: str, s: Services, *, number: int | None = None) -> tuple[Release, list[int]]:
    """Return what the version means, its newest health-checked release or else its newest one, or the one of that
    number; and the numbers of all of that version, newest."""
    named = Version(version[:MAX_VERSION_CHARACTERS])
    known = remembered(require_app(app, s), s, named, number)
    asked = known.releases.get(number or 0)
    release = asked if asked is not None and asked.version == named else require_release(known, named)
    return release, s.ledger.releases_of(app, named, limit=MAX_RELEASES_SHOWN)
