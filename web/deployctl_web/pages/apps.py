"""The first page: every app that one may see, its live version, and whether it is healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from flask import Blueprint, g, render_template

from deployctl.dataclass import replace
from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.errors import DeployctlError
from deployctl.ports.metrics import LiveMetrics, Now
from deployctl.usecases.results import AppView, StatusView
from deployctl_web.live.status_cache import AT_ONCE_SECONDS, CachedStatus
from deployctl_web.pages.parts.app_rows import draw_rows, row_of
from deployctl_web.security.authorization import SIGNED_IN, needs
from deployctl_web.state import web_state

pages = Blueprint("apps", __name__)
STALE_SECONDS = 10.0  # seconds after which a reading is shown as old
WITHIN, GLANCE = 2.0, 0.05  # seconds that a reading counts as fresh, and that a new one of all apps is waited for
APP_WAIT_SECONDS = 0.5  # seconds that one app is waited for
AFRESH = 8  # apps that have changed since, and are read individually


@pages.get("/")
@needs(SIGNED_IN)
def home() -> str:
    return render_template("apps.html", **_seen(at_once=AT_ONCE_SECONDS))


@pages.get("/live")
@needs(SIGNED_IN)
def live() -> str:
    """Return only the inside of the table's region."""
    return render_template("_apps.html", **_seen())


def _home(at_once: float) -> CachedStatus[StatusView]:
    """Return the last reading of all apps. A new one of many apps takes long, so what has changed since then, by the
    ledger's stamps, is read individually."""
    seen = web_state().status_cache.home(within=WITHIN, at_once=at_once, patience=GLANCE)
    if not seen.wrong and not seen.stale:  # no stamp has changed since: there is nothing to compare
        return seen
    known = {AppName(view.app): view for app in seen.value.apps for view in (app, *app.backing)}
    with web_state().pool.lend(g.who.actor) as s:
        rows = s.ledger.apps()
        busy = {opened.app for opened in s.ledger.open_deployments()}
    behind = [owner_of(row.name) for row in rows if (view := known.get(row.name)) is None or view.revision != row.revision
              or (row.name in busy) is (view.deployment is None)]
    views = {**known, **_afresh(list(dict.fromkeys(behind)))}
    apps = tuple(views[row.name] for row in rows if row.name in views and not row.is_backing)
    return replace(seen, value=replace(seen.value, apps=apps))


def _afresh(apps: Sequence[AppName]) -> dict[AppName, AppView]:
    """Return some of them as they are now; if nothing responds soon the last reading has to do, for all of them."""
    found: dict[AppName, AppView] = {}
    with suppress(TimeoutError, DeployctlError):
        for app in apps[:AFRESH]:
            seen = web_state().status_cache.app(app, patience=APP_WAIT_SECONDS)
            found[app] = seen.value
            if seen.stale:
                break
    return found


def _seen(*, at_once: float = 0.0) -> dict[str, Any]:
    seen = _home(at_once)
    g.stale = seen.stale
    apps, meter = _mine(seen.value), web_state().meter
    return {"seen": seen, "view": seen.value, "apps": apps, "stale": seen.stale and seen.age > STALE_SECONDS,
            "files": _files(seen.value), "states": [one.state for app in apps for one in (app, *app.backing)],
            "rows": draw_rows(row_of(app, _figures(app, meter)) for app in apps),
            "admin": g.who.may(Role.ADMIN, None)}


def _files(view: StatusView) -> list[AppName]:
    """Return the apps that only have a file, as far as this user may deploy them."""
    known = {one.app for one in view.apps}
    with web_state().pool.lend(g.who.actor) as s:
        return [app for app in s.app_files() if app not in known and g.who.may(Role.DEPLOYER, app)]


def _mine(view: StatusView) -> tuple[AppView, ...]:
    mine = set(g.who.sees([AppName(one.app) for one in view.apps]))
    return tuple(one for one in view.apps if one.app in mine)


def _figures(app: AppView, meter: LiveMetrics) -> Mapping[str, float] | None:
    """Return requests a second and the share of 5xx, in percent; None if not measured."""
    now: Now | None = meter.latest(AppName(app.app)).get(app.active.release) if app.active else None
    if now is None:
        return None
    bad = now.failed_per_s + now.answers_5xx_per_s
    return {"rate": now.requests_per_s, "bad": 100 * bad / now.requests_per_s if now.requests_per_s else 0.0}
