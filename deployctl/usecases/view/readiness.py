"""Whether each kept release can be rolled back to: the facts are gathered here and judged in
`domain/change/readiness.py`.

For a list of apps it makes no request to engine or instance beyond those made already; for one app it inspects images,
network, and how long the release took to boot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.change.plan import StepKind
from deployctl.domain.change.readiness import Standing, has_lost_its_place, judge, together
from deployctl.domain.change.serving import find_previous
from deployctl.domain.proxy.quality import answers_nobody
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError
from deployctl.usecases.read_facts import Containers, at_home, remembered, require_app, with_backing
from deployctl.usecases.view.health_now import ask_once, may_ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.images.release import App, Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.request_counts import RequestCounts
    from deployctl.ports import ContainerFacts, ProbeAnswer, Services

BOOT = frozenset({StepKind.START, StepKind.HEALTH})
MAX_EVENTS_SEARCHED = 200  # events searched for what was last recorded of a release


@dataclass(frozen=True, slots=True)
class Around:
    """What was read of engine and HAProxy, for one app or for all. No `containers`: the engine was not responding, and
    why."""

    containers: Containers | None
    engine: str | None = None
    networks: frozenset[str] | None = None  # None: not read
    boots: Mapping[int, float] = field(default_factory=dict)  # release → seconds
    closely: bool = False
    counters: RequestCounts = field(default_factory=dict)
    routes: Mapping[AppName, int] | None = None  # None: not read, or HAProxy did not respond

    def find(self, instance: Instance | None, release: Release) -> ContainerFacts | None:
        return None if instance is None or self.containers is None else self.containers.find(instance, release)

    def has_other(self, instance: Instance | None, release: Release) -> bool:
        if instance is None or self.containers is None:
            return False
        return self.containers.find_other(instance, release) is not None


def look_around(app: AppName, s: Services) -> Around:
    """Inspect one app."""
    return replace(look_at_all(s), boots=_boots(app, s))


def look_at_all(s: Services) -> Around:
    """Read once what inspecting each app needs, except how long releases took to boot."""
    proxy = Around(None, counters=_counters(s), routes=_routes(s), closely=True)
    try:
        return _with_networks(replace(proxy, containers=Containers(s.engine.containers())), s)
    except DeployctlError as e:
        return replace(proxy, engine=e.message)


def look_closely(around: Around, app: AppName, s: Services) -> Around:
    """Return what was read, with the networks and the app's boot times added."""
    return _with_networks(replace(around, boots=_boots(app, s), closely=True), s)


def _with_networks(around: Around, s: Services) -> Around:
    if around.containers is None:
        return around
    try:
        return replace(around, networks=frozenset(network.name for network in s.engine.networks()))
    except DeployctlError as e:
        return replace(around, containers=None, engine=e.message)


def _counters(s: Services) -> RequestCounts:
    try:
        return s.traffic.counters()
    except DeployctlError:
        return {}


def judge_release(release: Release, instance: Instance | None, answer: ProbeAnswer | None, app: App, around: Around,
                  s: Services) -> Readiness:
    """Return whether that release, which is not live, can be rolled back to."""
    seen, other = around.find(instance, release), around.has_other(instance, release)
    away = around.containers is None
    present = seen is not None if not away else instance is not None
    running = seen.running if seen else away and instance is not None and instance.routed
    standing = Standing(
        release, instance, present=present, running=running, other_image=other,
        at_home=seen is None or not seen.running or instance is None or at_home(instance, seen),
        answered=answer.ok if answer else None, message=answer.sentence if answer else "",
        network=None if around.networks is None else app.network_of(instance).name in around.networks,
        networks_missing=() if around.networks is None else tuple(
            name for name in release.bundle.networks if name not in around.networks),
        volumes_missing=_volumes_missing(release, s) if around.closely and not away else (),
        files_lost=_files_lost(release, s) if around.closely else (),
        secrets_gone=_secrets_gone(release, s) if around.closely else (),
        port_taken=not away and not other and _is_off(seen) and _port_taken(instance, s),
        unanswered=_unanswered(release, around), engine_away=around.engine, boot_seconds=around.boots.get(release.number),
    )
    asks = around.closely and not away and (not present or has_lost_its_place(standing))
    return judge(replace(standing, image=_has_image(release, s)) if asks else standing)


def _volumes_missing(release: Release, s: Services) -> tuple[str, ...]:
    if not any(one.bundle.mounts for one in release.components):
        return ()
    from deployctl.execution.mounts import missing_volumes

    with suppress(DeployctlError):
        return missing_volumes(release, {one.name for one in s.engine.volumes()}, s)
    return ()


def _files_lost(release: Release, s: Services) -> tuple[tuple[str, str], ...]:
    if not any(one.bundle.files for one in release.components):
        return ()
    from deployctl.execution.mounts import lost_files

    return tuple((file.target, why) for file, why in lost_files(release, s))


def _secrets_gone(release: Release, s: Services) -> tuple[str, ...]:
    wanted = {(ref.name, ref.value) for one in release.components for ref in one.bundle.secrets}
    held = {(one.name, one.id) for one in s.secrets().held(release.app)} if wanted else set()
    return tuple(sorted({name for name, _ in wanted - held}))


def _unanswered(release: Release, around: Around) -> int:
    """Return how many requests of the last minute got no response; 0 if one did, or if there were few."""
    recent = around.counters.get((release.app, release.number), Counters()).recent
    return recent.failed if answers_nobody(recent) else 0


def find_readiness(app: AppName, s: Services, *, but: Iterable[int] = (), among: Iterable[int] | None = None,
                   around: Around | None = None, times: int = 1) -> list[Readiness]:
    """Return the readiness of every kept release that is not live, newest first; warm ones are probed.

    `among` names releases instead, `times` is how often one that fails its probe is probed again.
    """
    row, around = require_app(app, s), around or look_around(app, s)
    named = [] if among is None else [*among]
    facts = remembered(row, s, *named)
    releases = facts.releases
    routes = around.routes if around.routes is not None else _routes(s)
    serving = row.active if routes is None else routes.get(app)
    wanted = set(_kept(facts) if among is None else named) - {*but, serving}
    found = []
    for number in sorted(wanted & releases.keys(), reverse=True):
        release = releases[number]
        found.append(together([
            judge_release(release, instance, _ask(release, instance, row, around, s, times=times), row, around, s)
            for instance in (facts.instances.get(one) for one in release.mains)]))
    return found


def check_readiness(app: AppName, s: Services, *, around: Around | None = None) -> list[Readiness]:
    """Return the readiness of every kept release, and write an event for each that has changed since the last one.

    `around` was read for all apps a while ago: what seems to have changed by it is inspected first. While the app is
    being changed, or the engine is not responding, nothing is written: that says nothing about the release.
    """
    opened, seen = s.ledger.find_open(app), around or look_around(app, s)
    on_trial = [opened.target] if opened and opened.target is not None else []
    found = find_readiness(app, s, but=on_trial, around=seen, times=2)
    if opened is None and seen.engine is None and s.ledger.find_lease(app) is None:
        turned = _turned(app, found, s)
        if turned and around is not None:
            return check_readiness(app, s)
        _write_turns(app, turned, s)
    return found


# -- changes --------------------------------------------------------------------------------------------------------
def _turned(app: AppName, found: Sequence[Readiness], s: Services) -> list[Readiness]:
    """Return what differs from the ledger's last record. A release that a person put on hold, or that was never
    healthy, has not become unready."""
    recorded = _last_recorded(app, s) if found else {}
    differs = [one for one in found if one.ready != recorded.get(one.release, True)]
    releases = {one.release: s.ledger.find_release(app, one.release) for one in differs}  # None: the app has been removed
    return [one for one in differs if (r := releases[one.release]) is not None and r.proven_at and not r.hold]


def _write_turns(app: AppName, turned: Sequence[Readiness], s: Services) -> None:
    for one in turned:
        text = f"{app} can be rolled back to {one.version} again" if one.ready else (
            f"{app} cannot be rolled back to {one.version}: {one.why}")
        s.ledger.event("readiness", text, at=s.clock.utc(), actor=s.actor, app=app,
                       data={"release": one.release, "ready": one.ready, "version": one.version, "code": one.code})


def _last_recorded(app: AppName, s: Services) -> dict[int, bool]:
    """Return the ledger's last record of each release; one without a record was ready."""
    entries = [event["data"] for event in s.ledger.events(app, kind="readiness", limit=MAX_EVENTS_SEARCHED)]
    return {data["release"]: data["ready"] for data in reversed(entries)}


# -- facts ----------------------------------------------------------------------------------------------------------
def _kept(facts: AppFacts) -> set[int]:
    """Return the releases that have a container, and the one that `rollback` would choose."""
    back = find_previous(facts)
    return {*facts.kept, *({back.number} if back else ())}


def _routes(s: Services) -> Mapping[AppName, int] | None:
    try:
        return with_backing(s.traffic.routes(), s)
    except DeployctlError:
        return None


def _ask(release: Release, instance: Instance | None, app: App, around: Around, s: Services, *,
         times: int) -> ProbeAnswer | None:
    """Probe what should take traffic immediately; None if there is nothing to probe."""
    seen = around.find(instance, release)
    if instance is None or not instance.routed or not may_ask(release, instance, seen, engine=around.containers is not None):
        return None
    answer = ask_once(release, instance, app, seen, s)
    for _ in range(times - 1):
        answer = answer if answer.ok else ask_once(release, instance, app, seen, s)
    return answer


def _has_image(release: Release, s: Services) -> bool | None:
    try:
        return s.engine.find_image(release.digest) is not None
    except DeployctlError:
        return None


def _is_off(seen: ContainerFacts | None) -> bool:
    """Return whether it is not using its own port: a paused or restarting container keeps it."""
    return seen is None or seen.status in {"created", "exited", "dead"}


def _port_taken(instance: Instance | None, s: Services) -> bool:
    port = instance.host_port if instance else None
    return port is not None and s.guard.port_taken("127.0.0.1", port)


def _boots(app: AppName, s: Services) -> dict[int, float]:
    """Return how many seconds each release took from start to healthy, the last time it was started."""
    found: dict[int, float] = {}
    for deployment in s.ledger.deployments(app):
        if deployment.target is None or deployment.target in found:
            continue
        steps = [step for step in s.ledger.steps(deployment.id)
                 if step["kind"] in BOOT and step["release"] == deployment.target and step["ok"]]
        if {step["kind"] for step in steps} == BOOT:
            found[deployment.target] = round(sum(step["ms"] for step in steps) / 1000, 1)
    return found
