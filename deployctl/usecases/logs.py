"""What the containers of an app print, each line with its version."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.domain.names import AppName, Version
from deployctl.errors import Invalid, NotFound
from deployctl.ports import LogLine, Services
from deployctl.usecases.observe import observe, require_engine, require_release


def logs(app: AppName, version: Version | None, s: Services, *, release: int | None = None, tail: int = 100,
         since: float | None = None, follow: bool = False, grep: str | None = None) -> Iterator[tuple[str, LogLine]]:
    """Yield lines in order of time: of one version, or of the active and the standby ones. `since`: seconds ago.

    Following needs one version: the active one unless another is named. Raises NotFound when nothing ever ran.
    """
    facts = observe(app, s)
    if version is not None:
        numbers = [require_release(facts, version, release).number]
    elif follow:
        numbers = [facts.app.active] if facts.app.active is not None else []
    else:
        active = {facts.app.active} if facts.app.active is not None else set()
        numbers = sorted(facts.running | active) or sorted(facts.instances)
    named = {n: facts.instances[n] for n in numbers if n in facts.instances}
    if not named:
        raise NotFound(f"{app} {version or ''}".strip() + " has no container, so there are no logs",
                       remedy=[f"deployctl history {app}"])
    require_engine(facts)
    if tail < 0:
        raise Invalid("-n must be 0 or more")
    streams = (
        ((str(facts.version(n)), line)
         for line in s.engine.logs(i.container or i.name, tail=tail, since=since, follow=follow))
        for n, i in named.items()
    )
    lines = (pair for stream in streams for pair in stream)
    ordered = lines if follow else iter(sorted(lines, key=lambda pair: pair[1].at))
    return (pair for pair in ordered if grep is None or grep in pair[1].text)
