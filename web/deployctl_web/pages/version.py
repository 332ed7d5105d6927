"""One version with its release spec, and how its last deployment went. Nothing here queries the engine."""

from __future__ import annotations

from flask import Blueprint, g, render_template, request

from deployctl.domain.host.access import Role
from deployctl.domain.images.capabilities import given_back, kept_text
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.names import AppName, ReleaseName, Version
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
        named = ReleaseName(Version(version[:MAX_VERSION_CHARACTERS]), request.args.get("release", type=int))
        release = meant(name, named, s)
        same = s.ledger.releases_of(name, named.version, limit=MAX_RELEASES_SHOWN)
        last = s.ledger.last_deployment(name, release.number)
    line = next((one for one in look.versions.lines if one.release == release.number), None)
    return render_template("version.html", a=look, release=release, bundle=release.bundle, same=same, last=last, line=line,
                           go=look.ways.get(release.number), env=redact_bundle(release.bundle).env,
                           given_back=list(given_back(release.bundle.cap_add)),
                           kept=kept_text(release.cap_drop, release.bundle.cap_add),
                           one=next((i for i in look.view.instances if i.release == release.number), None),
                           **charted(name, only=release.number))


def meant(app: AppName, named: ReleaseName, s: Services) -> Release:
    """Return the release that a page's address names. Raises NotFound."""
    return require_release(remembered(require_app(app, s), s, named.version, named.release), named.version, named.release)
