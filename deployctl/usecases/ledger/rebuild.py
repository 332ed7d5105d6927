"""Reconstruct the ledger from what remains: its backups, the labels of containers and networks, HAProxy's maps.

Engine and HAProxy are only read: neither traffic nor containers are touched. What could not be recovered is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from ipaddress import ip_network

from deployctl.dataclass import asdict, replace
from deployctl.domain.host.leftovers import AppBack, Ground, Rebuilt, Relic
from deployctl.domain.host.networks import AppNetwork
from deployctl.domain.images.image_ref import is_made_of, short_digest
from deployctl.domain.inputs.names import AppName, Version, backing_of
from deployctl.errors import DeployctlError, Invalid, NotFound, Refused
from deployctl.execution.bundle_label import is_exact, read_bundle, read_cap_drop, read_component
from deployctl.execution.labels import instance_id, is_sealed, kept_name
from deployctl.ledger.file.copies import copies
from deployctl.ledger.file.copy_sum import SENTENCES, CopyCheck
from deployctl.ledger.salvage import Salvage
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.paths import Path
from deployctl.ports import Services
from deployctl.usecases.ledger.backing_remains import grounds_of_backing, live_backing, place_of
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.leftovers import Remains
    from deployctl.domain.inputs.app_spec import AppFile
    from deployctl.domain.inputs.names import ComponentName
    from deployctl.ledger.file.vault import CopyCandidate, Vault
    from deployctl.ports import ContainerFacts

Build = Callable[[SqliteLedger], Services]


def rebuild_ledger(vault: Vault, remains: Remains, build: Build, *, force: bool) -> Done:
    """Rebuild it. Raises Refused if the ledger is intact (`force` brings it up to date with what runs), LeaseHeld if a
    living process is changing an app, EngineUnavailable if the containers cannot be listed."""
    sound = vault.find_usable()
    if sound is not None:
        sound.close()
        if not force:
            raise Refused(f"the ledger {vault.path} is intact; there is nothing to rebuild. Nothing was changed.",
                          remedy=["deployctl ledger verify", "deployctl ledger rebuild --force"])
    knew = vault.knows_secret()
    with _base(vault, sound=sound is not None, force=force) as candidate:
        sealed = knew or candidate.source is not None
        s = build(candidate.ledger)
        if not sealed and (id_ := _agreed_id(s)):
            candidate.ledger.set_home_id(id_)
            s = build(candidate.ledger)
        since = [] if sound is not None else _since(candidate)
        rebuilt = rebuild(candidate, remains, s, sealed=sealed)
        if not rebuilt.apps:
            raise _nothing(vault, s)
        kept = vault.install(candidate, actor=s.actor, verb="rebuild")
    return _result(replace(rebuilt, lost=(*since, *rebuilt.lost)), candidate, kept)


def _agreed_id(s: Services) -> str | None:
    """Return the id that the containers of this path agree on, if no other source has it."""
    ids = {home.id for home in s.engine.homes() if home.path == str(s.home)}
    return ids.pop() if len(ids) == 1 else None


def _nothing(vault: Vault, s: Services) -> NotFound:
    state = vault.path.parent
    return NotFound(f"nothing of the home {s.home} was found: no backup of its ledger with an app, and none of its networks or "
                    "containers on this engine. Nothing was changed.",
                    remedy=["deployctl doctor   # check that home and engine are the right ones",
                            f"mv {state} {state}.before   # to start with an empty one"])


def _base(vault: Vault, *, sound: bool, force: bool) -> AbstractContextManager[CopyCandidate]:
    """Return the starting point: the ledger itself if it is intact, else its newest unmodified backup, else nothing. If
    there are only backups that cannot be verified, `force` takes the newest; otherwise Refused is raised."""
    if sound:
        return vault.from_file(vault.path, force=False)
    checks = {copy.path: check for copy in copies(vault.path) if (check := vault.judge(copy.path))}
    good = next((path for path, check in checks.items() if check is CopyCheck.GOOD), None)
    if good is not None:
        return vault.from_file(good, force=False)
    if checks and not force:
        raise _unchecked(*next(iter(checks.items())), vault)
    return vault.from_file(next(iter(checks)), force=True) if checks else vault.fresh()


def _unchecked(copy: Path, check: CopyCheck, vault: Vault) -> Refused:
    folder = vault.path.with_name("backups")
    return Refused(f"the newest backup {copy} cannot be verified: {SENTENCES[check]}. Nothing was changed.",
                   remedy=["deployctl ledger rebuild --force   # use it anyway",
                           f"mv {folder} {folder}.before   # to start without it: history, users and tokens are lost"],
                   code="unchecked_copy")


def rebuild(candidate: CopyCandidate, remains: Remains, s: Services, *, sealed: bool) -> Rebuilt:
    """Bring the candidate up to date with engine and HAProxy. `sealed`: the home's secret is known."""
    ledger = candidate.ledger
    lost: list[str] = []
    grounds, containers, routes = _grounds(s), _containers(s, lost, sealed=sealed), _routes(s, remains, lost)
    grounds |= grounds_of_backing(grounds, containers)
    routes |= _live_before(ledger, grounds) | live_backing(grounds, containers)
    relics = _assembled([relic for one in containers if (relic := _relic(one, grounds, s, lost, sealed=sealed))], lost)
    salvage = Salvage(ledger, replace(remains, routes=routes), at=s.clock.utc(), actor=s.actor, lost=lost)
    with ledger.transaction():
        salvage.drop_gone({*grounds, *(relic.app for relic in relics), *routes}, {relic.name for relic in relics})
        known = {app.name for app in ledger.apps()}
        for ground in grounds.values():
            salvage.put_app(ground)
        files = s.judge_files() if grounds.keys() - known else {}
        for app in (ground.app for ground in grounds.values() if ground.app not in known):
            _take_policy(app, files.get(app), s, salvage.lost)
        for relic in sorted(relics, key=lambda relic: (relic.app, relic.instance)):
            if ledger.find_app(relic.app) and salvage.put_release(relic):
                salvage.put_instance(relic)
        back = [_serve(app.name, routes, relics, salvage) for app in ledger.apps()]
        _tell_tags(s, ledger, salvage.lost)
    salvage.lost += [f"{app}: HAProxy routes it to release {routes[app]}, but neither a network nor a container of it is left"
                     for app in routes.keys() - {app.app for app in back}]
    return Rebuilt(tuple(back), tuple(salvage.lost))


def _since(candidate: CopyCandidate) -> list[str]:
    """Return in one sentence what a backup cannot know: it is as old as its last event. Empty without a backup."""
    last = next(iter(candidate.ledger.events(limit=1)), None)
    return [f"the history since {last['at']}, when the backup was made: traffic switches, holds, users and tokens. Live "
            "versions are taken from HAProxy"] if last else []


# -- what remains ---------------------------------------------------------------------------------------------------
def _grounds(s: Services) -> dict[AppName, Ground]:
    home = s.ledger.identity
    found: dict[AppName, Ground] = {}
    for network in sorted(s.engine.networks(), key=lambda one: (len(one.name), one.name)):  # the first has no number
        app = AppName(network.labels.get("deployctl.app", ""))
        if home.owns(network.labels) and app and network.subnets and network.bridge:
            gateway = str(next(ip_network(network.subnets[0], strict=False).hosts()))
            mine = AppNetwork(network.name, network.bridge, network.subnets[0], gateway, network.engines_own)
            found[app] = Ground(app, (*(found[app].networks if app in found else ()), mine))
    return found


def _containers(s: Services, lost: list[str], *, sealed: bool) -> list[ContainerFacts]:
    """Return the home's containers with every field; one without our signature was created by someone else who used our
    labels."""
    home, found = s.ledger.identity, []
    for listed in s.engine.containers():
        if sealed and not is_sealed(home, listed.labels):
            lost.append(f"{listed.name} has our labels but not this home's signature label; it was skipped")
        elif one := s.engine.find_container(listed.id):
            found.append(one)
    if found and not sealed:
        lost.append("the home's secret is lost, too, so containers were identified by their labels alone")
    return found


def _relic(one: ContainerFacts, grounds: dict[AppName, Ground], s: Services, lost: list[str], *, sealed: bool) -> Relic | None:
    """Return what a container reveals of its release, None with the reason in `lost` if that is not enough."""
    labels, ground = one.labels, grounds.get(AppName(one.labels.get("deployctl.app", "")))
    place = place_of(one, ground) if ground else None
    which, operation = instance_id(labels), labels.get("deployctl.operation", "")
    if ground is None or place is None or which is None:
        lost.append(f"{one.name}: it has no network of ours, no address or no port; it was skipped")
        return None
    try:
        bundle = read_bundle(labels, one.env)
        component, order, count = read_component(labels, which.component, bundle)
    except Invalid as e:
        lost.append(f"{one.name}: {e.message}; it was skipped")
        return None
    if sealed and not is_exact(s.ledger.identity.secret, ground.app, labels, bundle):
        lost.append(f"{one.name}: its release spec is not the one it was created from; it was skipped")
        return None
    if one.published is None and order == 0 and which.replica == 1 and ground.address is None:
        lost.append(f"{one.name}: it has no port; it was skipped")
        return None
    own = is_made_of(one.image, bundle)
    if not own:
        lost.append(f"{one.name}: it was created from a different image ({short_digest(one.image)}) than its release "
                    f"({short_digest(bundle.digest)}) and was skipped; deployctl reconcile {ground.app} creates it again")
    network, address = place
    return Relic(ground.app, which, Version(labels.get("deployctl.version", "")), (component,), one.name,
                 one.id if own else None, network.name, address,
                 one.published, int(operation) if operation.isdecimal() else 0, read_cap_drop(labels), order, count)


def _assembled(relics: Sequence[Relic], lost: list[str]) -> list[Relic]:
    """Return them with all components of their releases; those of a release of which a container is missing are left out."""
    found: dict[tuple[AppName, int], list[Relic]] = {}
    for relic in sorted(relics, key=lambda relic: relic.place):
        found.setdefault((relic.app, relic.number), []).append(relic)
    whole = []
    for (app, number), some in found.items():
        by_name = {one.instance.component: one.components[0] for one in some}  # their replicas tell the same
        if len(by_name) < some[0].count:
            lost.append(f"{app} release {number}: only {', '.join(by_name)} of its "
                        f"{some[0].count} components are left; it was skipped")
            continue
        components, scale = tuple(by_name.values()), _scale(some)
        whole += [replace(one, components=components, scale=scale) for one in some]
    return whole


def _scale(relics: Sequence[Relic]) -> tuple[tuple[ComponentName, int], ...]:
    """Return how many replicas there are of each component of which there are not as many as its file said."""
    highest = {one.components[0]: 0 for one in relics}
    for relic in relics:
        highest[relic.components[0]] = max(highest[relic.components[0]], relic.instance.replica)
    return tuple((one.name, count) for one, count in highest.items() if one.may_scale and count != one.replicas)


def _live_before(ledger: SqliteLedger, grounds: dict[AppName, Ground]) -> dict[AppName, int]:
    """Return the live releases, according to the backup, of backing components that are still there."""
    return {row.name: row.active for row in ledger.backing() if row.active is not None and row.name in grounds}


def _routes(s: Services, remains: Remains, lost: list[str]) -> dict[AppName, int]:
    """Return the live release of each app as HAProxy reports it, or from its file if it is not responding."""
    try:
        return s.traffic.routes()
    except DeployctlError as e:
        lost.append(f"live versions were read from HAProxy's file, because HAProxy is not responding: {e.message}")
        return dict(remains.routes)


def _take_policy(app: AppName, file: AppFile | DeployctlError | None, s: Services, lost: list[str]) -> None:
    row = s.ledger.find_app(app)
    try:
        if isinstance(file, DeployctlError):
            raise file
        if row is not None:
            s.ledger.set_wishes(replace(row, policy=(file or s.app_file(app)).policy))  # a missing file is reported
    except DeployctlError as e:
        lost.append(f"{app}: how it drains and how many versions are kept is as by default, until its next upgrade "
                    f"({e.message.splitlines()[0]})")


def _serve(app: AppName, routes: dict[AppName, int], relics: Sequence[Relic], salvage: Salvage) -> AppBack:
    serving = routes.get(app)
    if serving is not None and salvage.ledger.find_release(app, serving) is None:
        told = "the backup has it at" if backing_of(app) is not None else "HAProxy sends it to"
        salvage.lost.append(f"{app}: {told} release {serving}, of which nothing else is known; it keeps serving")
        serving = None
    operation = max((relic.operation for relic in relics if relic.app == app), default=0)
    change = salvage.tell_serving(app, serving, operation=operation)
    release = salvage.ledger.find_release(app, serving) if serving is not None else None
    return AppBack(app, release.version if release else None, change.revision, len(salvage.ledger.releases(app)),
                   len(salvage.ledger.instances(app)))


def _tell_tags(s: Services, ledger: SqliteLedger, lost: list[str]) -> None:
    known = {f"{app.name} release {release.number}" for app in ledger.apps() for release in ledger.releases(app.name)}
    home = s.ledger.identity
    mine = {_release_of(name) for tag in s.engine.kept_tags() if (name := kept_name(home, tag))}
    lost += [f"{release}: only its image is left, not how it was run" for release in sorted(mine - known)]


def _release_of(name: str) -> str:
    """Return the release that an image is kept for: `deployctl/shop:r7-api` is of shop release 7."""
    app, _, rest = name.removeprefix("deployctl/").rpartition(":r")
    return f"{app} release {rest.partition('-')[0]}"


# -- the answer ---------------------------------------------------------------------------------------------------
def _result(rebuilt: Rebuilt, candidate: CopyCandidate, kept: Path | None) -> Done:
    source = f"from the backup {candidate.source} and" if candidate.source else "without any backup,"
    apps = [f"{a.app}  {a.serving or 'nothing'} live, revision {a.revision}, {a.releases} releases, {a.instances} containers"
            for a in rebuilt.apps]
    history = [] if candidate.source else ["Not recovered: the history, who changed what, holds of versions not running"]
    former = [f"The replaced file is kept as {kept}"] if kept else []
    lost = [*history, *(f"Not recovered: {sentence}" for sentence in rebuilt.lost)]
    return Done("Rebuild", "", f"the ledger was rebuilt {source} from what is running. Traffic was not affected.",
                (*apps, *former, *lost), extra={
                    "apps": [asdict(app) for app in rebuilt.apps], "lost": list(rebuilt.lost),
                    "source": str(candidate.source) if candidate.source else None, "former": str(kept) if kept else None})
