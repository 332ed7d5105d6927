"""What the containers of an app print, each line with its release: of running containers, of stopped or failed ones
that are kept, and the end of the log of removed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge

from deployctl.dataclass import dataclass
from deployctl.domain.change.serving import release_name
from deployctl.domain.images.component import WEB
from deployctl.errors import Invalid, NotFound
from deployctl.usecases.clock_math import later, unix
from deployctl.usecases.read_facts import no_such_version, observe, require_engine, require_numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, ComponentName, Version
    from deployctl.ports import LogLine, Services


@dataclass(frozen=True, slots=True)
class Printed:
    """One line of a log."""

    release: int
    version: str
    name: str  # the version, or VERSION@RELEASE where it has several releases; and the component where the app has several
    line: LogLine
    component: ComponentName = WEB


def logs(app: AppName, version: Version | None, s: Services, *, release: int | None = None, tail: int | None = 100,
         since: float | None = None, follow: bool = False, grep: str | None = None,
         left: Callable[[], bool] = bool) -> Iterator[Printed]:
    """Yield lines in order of time: of one version, or of all that have a container, running or not. They are read as
    they are consumed, and no longer once their reader has `left`.

    `tail` is how many of each container (None: all), `since` how many seconds back. With `follow` it continues with new
    lines; if no version is named it follows the app across every switch. Raises NotFound if there is no log,
    EngineUnavailable.
    """
    if tail is not None and tail < 0:
        raise Invalid("-n must be 0 or more")
    facts = observe(app, s, version, release, *s.kept_logs.releases(app))
    named = version is not None or release is not None
    wanted = _named(facts, version, release, s) if named else _of_the_app(facts, follow=follow)
    if not wanted:
        raise NotFound(f"{app} {version or ''}".strip() + " has no container, and no kept log",
                       remedy=[f"deployctl history {app}"])
    if any(one.number in facts.kept for one in wanted):
        require_engine(facts)
    begun = s.clock.utc()
    start = None if since is None else later(begun, -since)
    written = [_written(facts, one, s, tail=tail, start=start, left=left) for one in wanted]
    lines: Iterable[Printed] = merge(*written, key=lambda one: one.line.at)
    if follow:
        from deployctl.usecases.view.logs_follow import Following

        lines = Following(app, s, begun, named=version, release=release, left=left).after(lines)
    return (one for one in lines if grep is None or grep in one.line.text)


def _of_the_app(facts: AppFacts, *, follow: bool) -> list[Release]:
    """Return what has a container; to follow the app, running ones are enough if there are any."""
    running = {n for n in facts.kept if n == facts.app.active or facts.is_partly_up(n)}
    return [facts.releases[n] for n in sorted(running if follow and running else facts.kept) if n in facts.releases]


def _named(facts: AppFacts, version: Version | None, number: int | None, s: Services) -> list[Release]:
    """Return the releases of that version that have a container or a kept log; or the one of that number."""
    app = facts.app.name
    if number is not None:
        same = [require_numbered(facts, version, number)]
    else:
        same = [r for r in facts.releases.values() if r.version == version]
        if not same:
            raise no_such_version(app, str(version), [r.version for r in facts.releases.values()])
    kept = {*s.kept_logs.releases(app), *facts.kept}
    return [r for r in same if r.number in kept]


def _written(facts: AppFacts, release: Release, s: Services, *, tail: int | None, start: str | None,
             left: Callable[[], bool]) -> Iterator[Printed]:
    """Yield the lines of a release so far, of all its components."""
    name = release_name(release, facts.releases.values())
    each = [_of_instance(facts, release, one, name, s, tail=tail, start=start, left=left) for one in release.containers]
    return each[0] if len(each) == 1 else merge(*each, key=lambda printed: printed.line.at)


def _of_instance(facts: AppFacts, release: Release, one: InstanceId, name: str, s: Services, *, tail: int | None,
                 start: str | None, left: Callable[[], bool]) -> Iterator[Printed]:
    called = f"{name} {one.component}" if release.components[1:] else name
    for line in _lines(facts, one, s, tail=tail, start=start, left=left):
        yield Printed(release.number, release.version, called, line, one.component)


def _lines(facts: AppFacts, one: InstanceId, s: Services, *, tail: int | None, start: str | None,
           left: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the last `tail` lines of an instance since `start`: of its container, and of its earlier ones."""
    def of_container() -> Iterator[LogLine]:
        instance = facts.instances.get(one)
        if instance is None or one not in facts.present:
            return iter(())
        since = None if start is None else unix(start)
        return s.engine.logs(instance.container or instance.name, tail=tail, since=since, left=left)

    kept = [line for line in s.kept_logs.find(facts.app.name, one) if start is None or line.at >= start]
    if kept and tail is not None:  # counted first, because a log may be too long for memory
        kept = kept[len(kept) - max(0, min(len(kept), tail - sum(1 for _ in of_container()))):]
    yield from kept
    yield from of_container()
