"""One version with its release spec and its last deployment, and how two versions differ. Nothing here queries the engine."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from deployctl.domain.change.serving import release_name
from deployctl.domain.host.access import Role
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.names import AppName, ReleaseName, Version, owner_of, parse_release_name
from deployctl.errors import NotFound
from deployctl.ports import Services
from deployctl.usecases.read_facts import remembered, require_app, require_release
from deployctl.usecases.redaction import redact_lines
from deployctl.usecases.results import DiffLine
from deployctl.usecases.view.diff import compare_releases
from deployctl_web.pages.app import charted, the_app
from deployctl_web.pages.parts.component_rows import rows_of, specs_of
from deployctl_web.pages.parts.page_model import look_at
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("version", __name__)
MAX_RELEASES_SHOWN = 300  # releases of one version that are listed
MAX_VERSION_CHARACTERS = 128  # characters of a version


@pages.get("/apps/<app:app>/versions/<version>")
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
                           go=look.ways.get(release.number), specs=specs_of(release),
                           rows=rows_of(release, look.view, web_state().meter.containers(name),
                                        web_state().meter.volumes(owner_of(name))),
                           one=next((i for i in look.view.instances if i.release == release.number), None),
                           **charted(name, only=release.number))


def meant(app: AppName, named: ReleaseName, s: Services) -> Release:
    """Return the release that a page's address names. Raises NotFound."""
    return require_release(remembered(require_app(app, s), s, named.version, named.release), named.version, named.release)


# -- two versions -------------------------------------------------------------------------------------------------------
@pages.get("/apps/<app:app>/compare")
@needs(Role.VIEWER)
def compare(app: str) -> str | Answer:
    """Show what differs from a to b; without names, from the live version to what a rollback would bring."""
    name, view = the_app(), web_state().status_cache.app(the_app()).value
    with web_state().pool.lend(g.who.actor) as s:
        releases = s.ledger.releases(name, limit=MAX_RELEASES_SHOWN)
        known = list(dict.fromkeys(release_name(r, releases) for r in releases))
        if not (request.args.get("a") and request.args.get("b")) and len(known) > 1:
            active = next((r for r in releases if view.active and r.number == view.active.release), releases[0])
            after = release_name(active, releases)
            other = view.rollback_name or next(name for name in known if name != after)
            before = request.args.get("a") or other
            before = other if before == after else before
            return redirect(url_for("version.compare", app=app, a=before, b=after))
        pair = _pair(name, s) if len(known) > 1 else None
    lines = redact_lines(compare_releases(*pair)) if pair else []
    names = [release_name(one, releases) for one in pair] if pair else []
    return render_template("compare.html", view=view, known=known, names=names, groups=_grouped(lines))


def _pair(app: AppName, s: Services) -> tuple[Release, Release]:
    before, after = (meant(app, _named(request.args.get(key, "")), s) for key in ("a", "b"))
    return before, after


def _named(text: str) -> ReleaseName:
    if not text:
        raise NotFound("Name two versions to compare.")
    return parse_release_name(text)


def _grouped(lines: Sequence[DiffLine]) -> list[tuple[str, list[DiffLine]]]:
    """Return the differences by group, those of the component that clients reach first."""
    groups = dict.fromkeys(["image", "env", "limits", "command", "health", "ports", "stop", *(line.group for line in lines)])
    return [(group, [line for line in lines if line.group == group]) for group in groups]
