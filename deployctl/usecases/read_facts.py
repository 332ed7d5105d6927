"""The one shared reading of the actual state: ledger, engine and HAProxy, as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.facts import AppFacts
from deployctl.domain.host.networks import mac_of
from deployctl.domain.images.image_ref import is_made_of
from deployctl.domain.inputs.names import Version, backing_name, backing_of, owner_of
from deployctl.errors import EngineUnavailable, NotFound, ProxyUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Instance, Release
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import ContainerFacts, Services

Named = Version | int | None  # a version, or the number of a release, that was requested


def observe(app: AppName, s: Services, *named: Named) -> AppFacts:
    """Return the facts of one app, including what is `named` if there is such a release, however long ago it was.

    Raises NotFound if the ledger does not know the app.
    """
    facts = remembered(require_app(app, s), s, *named)
    there, away = look_at_containers(facts.instances, facts.releases, s)
    return replace(facts, running=there.running, present=there.present, other_image=there.other_image,
                   own_mac=there.own_mac, serving=routes(s).get(app), engine_away=away)


def remembered(row: App, s: Services, *named: Named) -> AppFacts:
    """Return what the ledger alone records of an app."""
    app = row.name
    return AppFacts(
        app=row, releases={r.number: r for r in s.ledger.releases_within_reach(app, named)},
        instances={i.id: i for i in s.ledger.instances(app)}, changes=tuple(s.ledger.telling_changes(app)))


def routes(s: Services) -> Mapping[AppName, int]:
    """Return the release that serves for each app and backing component; a dead HAProxy is started first, which is a
    repair."""
    try:
        return with_backing(s.traffic.routes(), s)
    except ProxyUnavailable:
        s.traffic.ensure_up()
        return with_backing(s.traffic.routes(), s)


def with_backing(routes: Mapping[AppName, int], s: Services) -> Mapping[AppName, int]:
    """Return HAProxy's routes with the live releases of backing components, to which nothing is routed."""
    live = {row.name: row.active for row in s.ledger.backing() if row.active is not None}
    return {**routes, **live} if live else routes


@dataclass(frozen=True, slots=True)
class There:
    """Which instances have a container: one of their own image exists, runs at its own address, is of another image, or has
    the MAC that it was made with."""

    present: frozenset[InstanceId] = frozenset()
    running: frozenset[InstanceId] = frozenset()
    other_image: frozenset[InstanceId] = frozenset()
    own_mac: frozenset[InstanceId] = frozenset()


class Containers:
    """The engine's list of this home's containers, searchable by instance."""

    def __init__(self, listed: Iterable[ContainerFacts]) -> None:
        self.by_id = {c.id: c for c in listed}
        self.by_name = {c.name: c for c in self.by_id.values()}
        self._of: dict[str, list[ContainerFacts]] = {}
        for one in self.by_id.values():
            self._of.setdefault(one.labels.get("deployctl.app", ""), []).append(one)

    def __iter__(self) -> Iterator[ContainerFacts]:
        return iter(self.by_id.values())

    def of(self, app: AppName) -> Sequence[ContainerFacts]:
        """Return those with the app's label."""
        return self._of.get(app, ())

    def find(self, instance: Instance, release: Release | None) -> ContainerFacts | None:
        """Return the container that the ledger means, if it was created from its release's image."""
        found = self.by_id.get(instance.container) if instance.container else self.by_name.get(instance.name)
        return None if found is None or (release and not _is_own(found, instance, release)) else found

    def find_other(self, instance: Instance, release: Release | None) -> ContainerFacts | None:
        """Return the container in its place that was created from another image: someone recreated it."""
        found = self.by_id.get(instance.container or "") or self.by_name.get(instance.name)
        return found if found and release and not _is_own(found, instance, release) else None

    def judge(self, instances: Mapping[InstanceId, Instance], releases: Mapping[int, Release]) -> There:
        found = {n: self.find(i, releases.get(n.release)) for n, i in instances.items()}
        return There(
            frozenset(n for n, c in found.items() if c),
            frozenset(n for n, c in found.items() if c and c.running and at_home(instances[n], c)),
            frozenset(n for n, i in instances.items() if self.find_other(i, releases.get(n.release))),
            frozenset(n for n, c in found.items() if c and mac_of(instances[n].address) in c.macs.values()),
        )


def _is_own(found: ContainerFacts, instance: Instance, release: Release) -> bool:
    return is_made_of(found.image, release.component(instance.component).bundle)


def look_at_containers(instances: Mapping[InstanceId, Instance], releases: Mapping[int, Release],
                       s: Services) -> tuple[There, str | None]:
    """Return which instances have which container, and why the engine could not be asked. Then HAProxy's servers stand
    in: what was routed ran, and was made of its own image, when it was last seen."""
    try:
        return Containers(s.engine.containers()).judge(instances, releases), None
    except EngineUnavailable as e:
        known = frozenset(n for n, i in instances.items() if i.container)
        return There(known, frozenset(n for n in known if instances[n].routed)), e.message


def require_engine(facts: AppFacts) -> None:
    """Raises EngineUnavailable if the engine did not respond: stopping or starting then has to wait for it."""
    if facts.engine_away:
        raise EngineUnavailable(facts.engine_away, remedy=["sudo systemctl start docker", "deployctl doctor"])


def at_home(instance: Instance, seen: ContainerFacts) -> bool:
    """Return whether the running container has the address that was leased to it."""
    return not seen.addresses or instance.address in seen.addresses.values()


def require_app(app: AppName, s: Services) -> App:
    row = s.ledger.find_app(app)
    if row is None:
        known = [a.name for a in s.ledger.apps()]
        raise not_known(f'no app "{app}".', app, known, more=f"The home is {s.home}.",
                        remedy=["deployctl status", f"deployctl upgrade {app} VERSION"])
    return row


def target_of(app: AppName, component: ComponentName | None, s: Services) -> tuple[AppName, ComponentName | None]:
    """Return what APP/COMPONENT means, by whichever of the two it was named: a backing component, which has releases of its
    own as an app has, or one of the app's releases. Raises NotFound for a component of a component."""
    owner, part = owner_of(app), backing_of(app) or component
    if part is None:
        return app, None
    if backing_of(app) is not None and component not in {None, part}:
        raise NotFound(f"{app} has no component {component}.", remedy=[f"deployctl status {owner}"])
    backing = backing_name(owner, part)
    return (backing, None) if s.ledger.find_app(backing) else (owner, part)


def require_release(facts: AppFacts, version: Version, number: int | None = None) -> Release:
    """Return what a version means: its newest health-checked release, or its newest one if none ever was. With `number`
    exactly that release. Raises NotFound."""
    if number is not None:
        return require_numbered(facts, version, number)
    named = [r for r in facts.releases.values() if r.version == version]
    if not named:
        raise no_such_version(facts.app.name, version, [r.version for r in facts.releases.values()])
    return facts.newest_proven(version) or max(named, key=lambda r: r.number)


def require_numbered(facts: AppFacts, version: Version | None, number: int) -> Release:
    """Return the release of that number. Raises NotFound if there is none, or if it is of another version."""
    app, found = facts.app.name, facts.releases.get(number)
    if found is None or version not in {None, found.version}:
        what = f"release {number} of {app} is {found.version}" if found else f"{app} has no release {number}"
        same = sorted(n for n, r in facts.releases.items() if r.version == version)
        known = f"; {version} has {', '.join(f'{version}@{n}' for n in same)}" if same else ""
        raise NotFound(f"{what}{known}.", remedy=[f"deployctl history {app}"])
    return found


def no_such_version(app: AppName, version: str, known: Sequence[str]) -> NotFound:
    return not_known(f'{app} has no version "{version}".', version, known, remedy=[f"deployctl history {app}"])


def not_known(message: str, word: str, known: Sequence[str], *, more: str = "", remedy: Sequence[str] = ()) -> NotFound:
    """Return the error with what may have been meant: one of those that are known. `more` follows it."""
    from difflib import get_close_matches

    close = get_close_matches(word, sorted(set(known)), n=1)
    guess = f"Did you mean {close[0]}?" if close else ""
    error = NotFound(" ".join(filter(None, (message, guess, more))), remedy=remedy)
    error.discreet = " ".join(filter(None, (message, more)))
    return error


