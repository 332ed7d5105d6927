"""The one shared reading of the world: ledger, engine and HAProxy, as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName, Version
from deployctl.domain.release import App, Instance, Release
from deployctl.errors import EngineUnavailable, NotFound, ProxyUnavailable
from deployctl.ports import ContainerFacts, Services


def observe(app: AppName, s: Services) -> Facts:
    """Return the facts of one app. Raises NotFound when the ledger does not know it."""
    row = require_app(app, s)
    instances = {i.release: i for i in s.ledger.instances(app)}
    present, running, away = look_at_containers(instances, s)
    return Facts(
        app=row,
        releases={r.number: r for r in s.ledger.releases(app)},
        instances=instances,
        running=running,
        present=present,
        changes=tuple(s.ledger.telling_changes(app)),
        serving=routes(s).get(app),
        engine_away=away,
    )


def routes(s: Services) -> Mapping[AppName, int]:
    """Return who serves each app by HAProxy's own word; a dead HAProxy is started first, that is a repair."""
    try:
        return s.traffic.routes()
    except ProxyUnavailable:
        s.traffic.ensure_up()
        return s.traffic.routes()


def look_at_containers(
    instances: dict[int, Instance], s: Services
) -> tuple[frozenset[int], frozenset[int], str | None]:
    """Return which instances exist and which run at their own address. With the engine away HAProxy's servers
    stand in: what was routed was running when it was last seen."""
    try:
        seen = {c.id: c for c in s.engine.containers()}
    except EngineUnavailable as e:
        known = frozenset(n for n, i in instances.items() if i.container)
        return known, frozenset(n for n in known if instances[n].routed), e.message
    names = {c.name: c for c in seen.values()}
    found = {n: seen.get(i.container) if i.container else names.get(i.name) for n, i in instances.items()}
    return (
        frozenset(n for n, c in found.items() if c),
        frozenset(n for n, c in found.items() if c and c.running and at_home(instances[n], c)),
        None,
    )


def require_engine(facts: Facts) -> None:
    """Raise EngineUnavailable when the engine did not answer: what must be stopped or started then waits for it."""
    if facts.engine_away:
        raise EngineUnavailable(facts.engine_away, remedy=["sudo systemctl start docker", "deployctl doctor"])


def at_home(instance: Instance, seen: ContainerFacts) -> bool:
    """Tell whether the running container has the address that was leased to it."""
    return not seen.addresses or instance.address in seen.addresses.values()


def require_app(app: AppName, s: Services) -> App:
    row = s.ledger.find_app(app)
    if row is None:
        known = [a.name for a in s.ledger.apps()]
        raise NotFound(f'no app "{app}" is known here.{did_you_mean(app, known)}',
                       remedy=["deployctl status", f"deployctl upgrade {app} VERSION"])
    return row


def require_release(facts: Facts, version: Version) -> Release:
    """Return what a version means: its newest proven release, or its newest one when none was ever proven."""
    named = [r for r in facts.releases.values() if r.version == version]
    if not named:
        raise no_such_version(facts.app.name, version, [r.version for r in facts.releases.values()])
    return facts.newest_proven(version) or max(named, key=lambda r: r.number)


def no_such_version(app: AppName, version: str, known: Sequence[str]) -> NotFound:
    return NotFound(f'{app} has no version "{version}".{did_you_mean(version, known)}',
                    remedy=[f"deployctl history {app}"])


def did_you_mean(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, sorted(set(known)), n=1)
    return f" Did you mean {close[0]}?" if close else ""


