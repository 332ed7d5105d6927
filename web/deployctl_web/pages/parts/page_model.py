"""What the pages of one app show, read at once: the last status, and what only the ledger knows."""

from __future__ import annotations

from typing import Any

from flask import g, session

from deployctl.dataclass import dataclass, field
from deployctl.domain.compose.gaps import ImportGap
from deployctl.domain.host.access import Role
from deployctl.domain.images.release import App, Bundle, Change, Hold
from deployctl.domain.images.release import ReleaseRole as Part
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.ports import Services
from deployctl.ports.metrics import Now
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import AppView, InstanceView, StatusView
from deployctl.usecases.view.activity import Deed, recent
from deployctl.usecases.view.in_progress import InProgress, find_failure, find_in_progress
from deployctl.usecases.view.serving_periods import Period, find_periods
from deployctl.usecases.view.versions import VersionLine, VersionsView, versions
from deployctl_web.live.jobs import Job
from deployctl_web.live.status_cache import CachedStatus
from deployctl_web.pages.parts.buttons import Go, button_of, held_since, warm_button
from deployctl_web.pages.parts.component_rows import BackingRow, ComponentRow, rows_of
from deployctl_web.pages.parts.first_steps import Try, first_steps
from deployctl_web.pages.parts.log_view import last_line
from deployctl_web.pages.parts.notices import MOVING, Notice, notices_of
from deployctl_web.pages.parts.times import clock
from deployctl_web.state import web_state

DISMISSED = "dismissed"  # in the session: app → deployment whose failure was read
MAX_REMEMBERED_APPS = 20  # apps for which that is remembered


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One running release in the drawing of the traffic."""

    one: InstanceView
    line: VersionLine | None
    go: Go | None
    now: Now | None
    parts: tuple[ComponentRow, ...] = ()  # none for a release of a single container


@dataclass(frozen=True, slots=True)
class AppPage:
    """One app as its page shows it."""

    app: App
    view: AppView
    seen: CachedStatus[StatusView]
    may: bool  # switch traffic
    versions: VersionsView
    ways: dict[int, Go]  # release → its button
    rows: tuple[ReleaseRow, ...]  # live first
    warm: VersionLine | None  # can take the traffic immediately
    back: VersionLine | None  # what a rollback without a name means
    under: InProgress | None
    candidate: InstanceView | None
    job: Job | None
    tail: str  # the candidate's last output
    notices: tuple[Notice, ...]
    holds: tuple[tuple[VersionLine, Hold], ...]
    total: float | None  # requests a second
    bundle: Bundle | None  # of the active release
    deeds: tuple[Deed, ...] = ()
    periods: tuple[Period, ...] = ()
    undo: Deed | None = None  # the last change, while it can be undone
    first_steps: tuple[Try, ...] = ()  # of a demo
    components: tuple[ComponentRow, ...] = ()  # of the live release
    backing: tuple[BackingRow, ...] = ()
    gaps: tuple[ImportGap, ...] = ()  # of an import, what blocks first
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def owner(self) -> AppName:
        """Return the app that a backing component belongs to; of an app itself its own name."""
        return owner_of(self.app.name)

    @property
    def live_name(self) -> str | None:
        """Return the name of the live release, None if there is none."""
        line = self.versions.at(self.view.active.release) if self.view.active else None
        return line.name if line else None

    @property
    def stale(self) -> bool:
        return self.seen.stale and self.seen.age > 10

    @property
    def state(self) -> str:
        """Return the state's word for classes and signs: one that is being changed is deploying or busy."""
        if self.under is None or self.under.interrupted or self.view.state in {"degraded", "down", "unknown"}:
            return self.view.state if self.view.state != "deploying" else "healthy"
        return "deploying" if self.under.verb in MOVING else "busy"


def look_at(app: AppName, *, at_once: float = 0.0) -> AppPage:
    """Read everything that the page of an app shows; `at_once` as for StatusCache.whole. Raises NotFound, and what the
    ledger raises."""
    here = web_state()
    seen, idle = here.status_cache.whole(app, at_once=at_once), here.status_cache.idle(app)
    view, g.stale = seen.value.apps[0], seen.stale
    with here.pool.lend_to_read(g.who.actor) as s:
        found = versions(view, s, idle=idle)
        return _look(require_app(app, s), seen, view, found, s)


def _look(app: App, seen: CachedStatus[StatusView], view: AppView, found: VersionsView, s: Services) -> AppPage:
    under, failure, deeds = find_in_progress(app.name, s), find_failure(app.name, s), recent(app.name, s)
    last = next(iter(s.ledger.changes(app.name, limit=1)), None)
    if failure and failure.deployment <= session.get(DISMISSED, {}).get(app.name, 0):
        failure = None
    ways = {line.release: go for line in found.lines if (go := button_of(line, view, under, last))}
    now = web_state().meter.latest(app.name)
    job = next(iter(web_state().jobs.under_way(app.name)), None)
    active = s.ledger.find_release(app.name, view.active.release) if view.active else None
    rows = _rows(view, found, ways, dict(now), _parts(view, s))
    undoable = under is None and last is not None and last.target is not None and _can_be_undone(last, found)
    return AppPage(
        app, view, seen, g.who.may(Role.DEPLOYER, app.name), found, ways, rows,
        warm_button(view, found), found.at(view.rollback_release), under,
        next((i for i in view.instances if under and i.release == under.release and i.role != Part.ACTIVE), None), job,
        last_line(app.name, under.version, g.who.actor) if under and under.version and not under.promoted else "",
        tuple(notices_of(seen.value, view, under=under, failure=failure, at=clock(seen.at), age=seen.age, stale=seen.why)),
        tuple({line.version: (line, line.hold) for line in found.lines if line.hold}.values()),
        sum(one.requests_per_s for one in now.values()) if now else None, active.bundle if active else None, deeds,
        find_periods(app.name, s),
        next((d for d in deeds if undoable and last and d.revision == last.revision), None), first_steps(app.name, s),
        next((row.parts for row in rows if row.one.role == Part.ACTIVE), ()),
        tuple(BackingRow(own, next(iter(_parts(own, s).get(own.active.release, ())), None) if own.active else None)
              for own in view.backing),
        tuple(sorted(s.imports().gaps(app.name), key=lambda one: not one.blocks)))


def _parts(view: AppView, s: Services) -> dict[int, tuple[ComponentRow, ...]]:
    """Return the components of each release that has several containers, or volumes."""
    app, meter = AppName(view.app), web_state().meter
    numbers = {one.release for one in view.instances}
    releases = [release for number in numbers if (release := s.ledger.find_release(app, number))]
    sizes = meter.volumes(owner_of(app))
    return {release.number: rows_of(release, view, meter.containers(app), sizes) for release in releases}


def _can_be_undone(last: Change, found: VersionsView) -> bool:
    """Return whether the release that the change left is here and nobody has put it on hold since."""
    left = next((line for line in found.lines if line.release == last.source), None)
    return left is not None and not held_since(left.hold, last)


def _rows(view: AppView, found: VersionsView, ways: dict[int, Go], now: dict[int, Now],
          parts: dict[int, tuple[ComponentRow, ...]]) -> tuple[ReleaseRow, ...]:
    """Return what runs: live, then the standby, then what was started alongside. A candidate has a row of its own."""
    order = (Part.ACTIVE, Part.STANDBY, Part.IDLE)
    running = [i for i in view.instances if i.role in order and (i.role == Part.ACTIVE or runs(i))]
    lines = {line.release: line for line in found.lines}
    ranked = sorted(running, key=lambda i: (order.index(Part(i.role)), i.release != view.rollback_release, -i.release))
    return tuple(ReleaseRow(i, lines.get(i.release), ways.get(i.release), now.get(i.release), parts.get(i.release, ()))
                 for i in ranked)


def runs(one: InstanceView) -> bool:
    """Return whether it runs as far as known: it was probed, or the engine says so."""
    return one.health in {"passing", "failing"} or (one.health == "unknown" and bool(one.status))


def dismiss(app: AppName, deployment: int) -> None:
    """Remember in the session that this failure was read."""
    read = dict(list(session.get(DISMISSED, {}).items())[-MAX_REMEMBERED_APPS:])
    session[DISMISSED] = {**read, app: deployment}
