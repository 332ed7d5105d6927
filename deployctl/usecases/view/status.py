"""Which version is live, and is it healthy? HAProxy's routes first, each running instance probed, the ledger's record
beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployctl.dataclass import replace
from deployctl.domain.change.probes import HealthReason
from deployctl.domain.change.readiness import together
from deployctl.domain.change.status_note import NoteCode, StatusNote, trouble_text
from deployctl.domain.images.component import ComponentKind
from deployctl.domain.images.release import ReleaseRole
from deployctl.domain.inputs.names import AppName, ReleaseName, Version, owner_of
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError
from deployctl.usecases.drift import Outside, closer_drift, listed_drift, store_now
from deployctl.usecases.read_facts import Containers, require_app, with_backing
from deployctl.usecases.results import AppView, InstanceView, OpenDeployment, StatusView
from deployctl.usecases.view.config_state import config_state
from deployctl.usecases.view.health_now import ask_together, find_trouble, may_ask
from deployctl.usecases.view.instance_view import Seen, instance_view, role_of, runs
from deployctl.usecases.view.readiness import Around, judge_release, look_closely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.drift import Drift
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.host.home import HomeFacts, HomeIdentity
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Change, Instance, Release
    from deployctl.domain.proxy.quality import Trouble
    from deployctl.ports import ProbeAnswer, Services
    from deployctl.usecases.view.health_now import Job


def status(s: Services, *, app: AppName | None = None) -> StatusView:
    """Return all apps, or one. Starts a dead HAProxy and restores its files: a repair, never a switch of traffic."""
    from deployctl.usecases.view.next_rollback import with_next_rollback

    apps = [require_app(app, s), *s.ledger.backing(app)] if app else s.ledger.apps()
    if not apps:
        return StatusView((), engine=None, proxy=None, others=other_homes(s))  # without apps no HAProxy is needed
    stamp = s.ledger.stamps(app) if app else None
    seen = _look(s)
    names = [one.name for one in apps] if app else [None]
    kept = {(r.app, r.number): r for name in names for r in s.ledger.kept_releases(name)}
    instances = [one for name in names for one in s.ledger.instances(name)]
    releases = {(i.app, i.release): kept.get((i.app, i.release)) for i in instances}
    answers = _ask_all(instances, releases, seen, s)
    seen = replace(seen, believed={address: one.mac for (_, address), one in s.guard.neighbours().items()})
    own: dict[AppName, list[Instance]] = {a.name: [] for a in apps}
    for instance in instances:
        own.setdefault(instance.app, []).append(instance)
    home = s.ledger.identity
    views = tuple(_view(a, own[a.name], releases, seen, answers, home, s) for a in apps)
    if app:
        views = (replace(views[0], drifts=_drift_since(apps[0], seen, stamp, s)), *views[1:])
    if app or len(apps) == 1:
        views = tuple(replace(v, config=config_state(a, s)) for v, a in zip(views, apps, strict=True))
    around = Around(seen.containers, _message(seen.engine), counters=seen.counters)
    around = look_closely(around, app, s) if app else around
    views = tuple(_with_readiness(v, a, own[a.name], releases, answers, around, s) for v, a in zip(views, apps, strict=True))
    views = tuple(with_next_rollback(v, around, s) if app or v.state in {"degraded", "down"} else v for v in views)
    return StatusView(_nested(views), engine=_message(seen.engine), proxy=_message(seen.proxy),
                      engine_code=seen.engine.code if seen.engine else None, proxy_code=seen.proxy.code if seen.proxy else None)


def _nested(views: Sequence[AppView]) -> tuple[AppView, ...]:
    """Return the views of apps with those of their backing components in them; one that was asked for alone stays."""
    known = {view.app for view in views}
    own = {view.app: [one for one in views if one.app != view.app and owner_of(AppName(one.app)) == view.app] for view in views}
    return tuple(replace(view, backing=tuple(own[view.app])) for view in views
                 if view.app == owner_of(AppName(view.app)) or owner_of(AppName(view.app)) not in known)


def _drift_since(app: App, seen: Seen, stamp: Mapping[AppName, str] | None, s: Services) -> tuple[Drift, ...]:
    """Return the drift of one app by what was read of it. The probes may have taken seconds: after a change in the
    meantime it is read again, or its containers would be missing and its traffic would contradict the ledger."""
    if s.ledger.stamps(app.name) == stamp:
        return closer_drift(app, s, listed=seen.containers)
    return closer_drift(s.ledger.find_app(app.name) or app, s)


def _message(error: DeployctlError | None) -> str | None:
    return error.message if error else None


def other_homes(s: Services) -> tuple[HomeFacts, ...]:
    """Return the other homes that have containers on the same engine; none if that is not responding."""
    try:
        found = s.engine.homes()
    except DeployctlError:
        return ()
    mine = s.ledger.identity
    return tuple(home for home in found if home.path not in mine.places and home.id != mine.id)


def _with_readiness(view: AppView, app: App, instances: Sequence[Instance],
                    releases: Mapping[tuple[AppName, int], Release | None],
                    answers: Mapping[tuple[AppName, InstanceId], ProbeAnswer], around: Around, s: Services) -> AppView:
    """Return the view with what a rollback would find, for each release that is neither live nor being checked."""
    judged: dict[int, list[Readiness]] = {}
    for i in sorted(instances, key=lambda one: one.id):
        if (r := releases[i.app, i.release]) and i.id in r.mains:
            judged.setdefault(r.number, []).append(judge_release(r, i, answers.get((app.name, i.id)), app, around, s))
    found = {number: together(some) for number, some in judged.items()}
    busy = {v.release for v in view.instances if v.role in {ReleaseRole.ACTIVE, ReleaseRole.CANDIDATE}}
    ready = {v.release: replace(v, readiness=None if v.release in busy else found.get(v.release)) for v in view.instances}
    return replace(view, instances=tuple(ready.values()), standby=ready[view.standby.release] if view.standby else None)


def _look(s: Services) -> Seen:
    routes: Mapping[AppName, int] | None = None
    counters: Mapping[tuple[AppName, int], Counters] = {}
    containers: Containers | None = None
    proxy: DeployctlError | None = None
    engine: DeployctlError | None = None
    store = None
    try:
        s.traffic.ensure_up()  # also restores files and sockets that were removed
        routes, counters = with_backing(s.traffic.routes(), s), s.traffic.counters()
    except DeployctlError as e:
        proxy = e.untraced()
    try:
        containers = Containers(s.engine.containers())
        store = store_now(s, containers)
    except DeployctlError as e:
        engine = e.untraced()
    return Seen(routes, counters, containers, proxy, engine, store)


def _ask_all(instances: Sequence[Instance], releases: Mapping[tuple[AppName, int], Release | None], seen: Seen,
             s: Services) -> dict[tuple[AppName, InstanceId], ProbeAnswer]:
    """Probe every instance that should run, in parallel. Ledger rows are read before: a connection belongs to one
    thread."""
    jobs: dict[tuple[AppName, InstanceId], Job] = {}
    apps = {a.name: a for a in s.ledger.apps()}
    routed = {(i.app, i.release) for i in instances if i.routed} | {
        (a.name, a.active) for a in apps.values() if a.is_backing and a.active is not None}
    for instance in instances:
        release = releases[instance.app, instance.release]
        container = seen.find(instance, release) if release else None
        needed = release and (instance.app, instance.release) in routed
        if release and needed and may_ask(release, instance, container, engine=seen.containers is not None):
            jobs[instance.app, instance.id] = (release, instance, apps[instance.app], container)
    return ask_together(jobs, s)


def _view(app: App, instances: Sequence[Instance], releases: Mapping[tuple[AppName, int], Release | None], seen: Seen,
          answers: Mapping[tuple[AppName, InstanceId], ProbeAnswer], home: HomeIdentity, s: Services) -> AppView:
    changes = s.ledger.telling_changes(app.name)
    opened = s.ledger.find_open(app.name)
    lease = s.ledger.find_lease(app.name) if opened else None
    serving = app.active if seen.routes is None else seen.routes.get(app.name)
    served = {c.target for c in changes} | {c.source for c in changes}
    since = {c.target: c.at for c in reversed(changes)}
    candidate = opened.target if opened and lease else None
    views: list[InstanceView] = []
    siblings: list[InstanceView] = []
    known = [(i, r) for i in instances if (r := releases[i.app, i.release]) is not None]
    for instance, release in sorted(known, key=_place):  # the first of each release first: its role is that of all
        container = seen.find(instance, release)
        if instance.id == release.main:
            role = role_of(instance, release, serving, candidate, served, runs=runs(release, known, seen))
        else:
            role = ReleaseRole(next((v.role for v in views if v.release == release.number), ReleaseRole.IDLE))
        made = views if instance.id == release.main else siblings
        made.append(instance_view(instance, release, role, container, seen, answers, serving, since))
    active = next((v for v in views if v.release == serving), None)
    deployment = None
    outside = Outside(seen.routes, seen.containers, store=seen.store)
    drift = () if lease else listed_drift(app, instances, releases, changes, outside, home)
    if opened:
        to = None if opened.target is None else s.ledger.find_release(app.name, opened.target)
        deployment = OpenDeployment(opened.id, opened.kind, str(opened.phase), opened.actor, opened.started_at,
                                    interrupted=lease is None, to_version=to.version if to else None)
    others = [one for one in siblings if active and one.release == serving and one.component == active.component]
    state = _state(active, others, serving, changes=bool(changes), deploying=bool(lease and opened), seen=seen)
    quality = find_trouble(app.name, active.release, active.version, changes, s) if active and state == "healthy" else None
    ill = [one for one in siblings if one.release == serving and one.health not in {"passing", "completed"}]
    notes = [*_trouble_notes(app, active, quality), *_component_notes(app, ill),
             *_notes(app, serving, views, opened is not None and lease is None)]
    return AppView(
        app=app.name, address=app.address, hosts=app.hosts, revision=app.revision,
        state="degraded" if quality or (ill and state == "healthy") else state, siblings=tuple(siblings),
        quality=quality.sentence if quality else None, active=active,
        standby=_standby(views, changes, serving), instances=tuple(views), deployment=deployment,
        notes=tuple(notes),
        since=changes[0].at if changes else None, drifts=drift,
    )


def _place(known: tuple[Instance, Release]) -> int:
    instance, release = known
    return release.containers.index(instance.id) if instance.id in release.containers else len(release.containers)


def _state(active: InstanceView | None, others: Sequence[InstanceView], serving: int | None, *, changes: bool, deploying: bool,
           seen: Seen) -> str:
    if deploying:
        return "deploying"
    if seen.proxy is not None and not (active and active.kind is ComponentKind.BACKING):
        return "unknown"
    if serving is None:
        return "down" if changes else "not_deployed"
    if active is None:
        return "down"
    if active.health == "unknown":
        return "unknown"
    if active.health == "passing":
        return "healthy"
    responds = any(one.health == "passing" for one in others)  # another replica, which gets its requests
    return "degraded" if responds or active.health_reason is HealthReason.WRONG_ANSWER else "down"


def _standby(views: Sequence[InstanceView], changes: Sequence[Change], serving: int | None) -> InstanceView | None:
    """Return the last active one that is kept: warm if it runs, else stopped."""
    for change in changes:
        for number in (change.source, change.target):
            found = next((v for v in views if v.release == number and v.release != serving), None)
            if found and found.role in {ReleaseRole.STANDBY, ReleaseRole.IDLE}:
                return found
    return None


def _trouble_notes(app: App, active: InstanceView | None, quality: Trouble | None) -> Iterator[StatusNote]:
    """Yield what is wrong with the live version."""
    if active and quality:
        yield StatusNote(NoteCode.LIVE_FAILS_REQUESTS, app.name, quality.message, active.version, active.release,
                         more=quality.compared)
    if active and active.health != "passing":
        message = trouble_text(active.version, active.health_reason, active.probe_message)
        yield StatusNote(NoteCode.LIVE_NOT_PASSING, app.name, message, active.version, active.release)


def _component_notes(app: App, ill: Sequence[InstanceView]) -> Iterator[StatusNote]:
    """Yield the components of the live version that are not healthy."""
    for one in ill:
        replica = f" {one.replica}" if one.replica > 1 else ""
        message = trouble_text(f"{one.component}{replica} of {one.version}", one.health_reason, one.probe_message)
        yield StatusNote(NoteCode.COMPONENT_NOT_PASSING, app.name, message, one.version, one.release)


def _notes(app: App, serving: int | None, views: Sequence[InstanceView], interrupted: bool) -> Iterator[StatusNote]:
    """Yield the rest of what people should know."""
    if serving is None and app.revision:
        unserved = f"{owner_of(app.name)} cannot reach it" if app.is_backing else "visitors get 503"
        yield StatusNote(NoteCode.NO_LIVE_VERSION, app.name, f"no live version, {unserved} (deployctl history {app.name})")
    elif serving != app.active:
        yield StatusNote(NoteCode.TRAFFIC_ELSEWHERE, app.name, f"HAProxy routes to release {serving}, but the ledger says "
                         f"{app.active}; the next change settles it", release=serving)
    held = {v.version: v.release for v in views if v.held}
    free = {v.version for v in views if not v.held}
    for version, number in held.items():
        name = ReleaseName(Version(version), number if version in free else None)
        yield StatusNote(NoteCode.ON_HOLD, app.name, f"{name} is on hold (deployctl unhold {app.name} {version})",
                         version, number)
    if interrupted:
        yield StatusNote(NoteCode.INTERRUPTED, app.name, "a deployment was interrupted; the next change finishes or reverts it")
