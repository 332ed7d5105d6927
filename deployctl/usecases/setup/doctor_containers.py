"""Are the containers as this version creates them, and does the ledger know all of them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployctl.domain.images.capabilities import kept_text
from deployctl.domain.images.image_store import SWITCHED, find_hidden, switched_text
from deployctl.domain.images.release import Restart
from deployctl.execution.mounts import lost_files, missing_volumes
from deployctl.execution.pins import find_astray, read_believed
from deployctl.usecases.drift import store_now
from deployctl.usecases.listings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Release
    from deployctl.ports import ContainerFacts, Services


def containers(s: Services) -> Iterator[Finding]:
    listed = s.engine.containers()
    yield from _hidden(listed, s)
    yield from _former(s)
    kept = s.ledger.kept_releases()
    yield from _all_capabilities(kept, s)
    yield from _strangers(listed, s)
    yield from _lost(kept, s)


def _hidden(listed: Sequence[ContainerFacts], s: Services) -> Iterator[Finding]:
    """Yield the apps whose containers are in an image store other than the engine's current one."""
    store = store_now(s, listed)
    for app in s.ledger.apps() if store else ():
        instances = {i.id: i for i in s.ledger.instances(app.name)}
        seen = {n for n, i in instances.items() if i.container in {c.id for c in listed}}
        if hidden := find_hidden(instances, seen, store):
            active = s.ledger.find_release(app.name, app.active) if app.active else None
            message = f"{app.name}: " + switched_text(app.name, active.version if active else None,
                                                       before=instances[min(hidden)].store or "", now=store or "")
            yield Finding("image store", ok=False, code=SWITCHED, message=message)


def _former(s: Services) -> Iterator[Finding]:
    """Yield what 0.1.0 created differently, and still runs that way."""
    found = [(i, c) for i in s.ledger.instances() if (c := s.engine.find_container(i.container or i.name))]
    if crash := [c.name for _, c in found if c.running and c.restart is Restart.UNLESS_STOPPED]:
        yield Finding("restarts", ok=False, fatal=False, fix="deployctl reconcile",
                      message="would not restart after a crash of Docker itself, because 0.1.0 created them: "
                              f"{', '.join(crash)}")
    apps = {app.name: app for app in s.ledger.apps()}
    believed = read_believed(s)
    if loose := [c.name for i, c in found if any(find_astray(s, apps[i.app], {i.id: i}, [c], believed))]:
        yield Finding("addresses", ok=False, fatal=False, code="not_pinned", fix="deployctl reconcile",
                      message="are not pinned to their containers, so another container could respond there: "
                              f"{', '.join(loose)}")
    if named := [c.name for i, c in found if c.hostname == i.app]:
        yield Finding("host names", ok=True, fatal=False, message="created by 0.1.0, so the app's name resolves to any of its "
                      f"versions in its network; each upgrade creates one with its own name: {', '.join(named)}")


def _all_capabilities(releases: Sequence[Release], s: Services) -> Iterator[Finding]:
    """Yield the apps that keep releases with more capabilities than one created now would have. Once the live release
    has no more, nothing needs doing: it is recorded, and the others go as retention decides."""
    kept = [r for r in releases if kept_text(r.cap_drop, r.bundle.cap_add)]
    for app in s.ledger.apps() if kept else ():
        if found := [r for r in kept if r.app == app.name]:
            active = next((r.version for r in found if r.number == app.active), None)
            named = ", ".join(sorted(f"{r.version}@{r.number}" for r in found))
            then = ("so code in one can respond with the address of another" if active
                    else "for rollbacks; the live one has not, and later upgrades replace them")
            yield Finding("capabilities", ok=active is None, fatal=False, code="capabilities_kept",
                          fix=f"deployctl upgrade {app.name} {active}" if active else None,
                          message=f"{app.name} keeps releases with Docker's capabilities, including NET_RAW, {then}: {named}")


def _lost(kept: Sequence[Release], s: Services) -> Iterator[Finding]:
    """Yield what kept releases have outside their images and could not be started with again: volumes, config files."""
    mounting = any(one.bundle.mounts for release in kept for one in release.components)
    there = {one.name for one in s.engine.volumes()} if mounting else set()
    for release in kept:
        name, fix = f"{release.app} {release.version}", f"deployctl upgrade {release.app} {release.version}"
        if gone := missing_volumes(release, there, s):
            yield Finding("volumes", ok=False, fatal=False, code="volume_missing", fix=fix,
                          message=f"{name} mounts what is not on this server: {', '.join(gone)}")
        for file, why in lost_files(release, s):
            yield Finding("config files", ok=False, fatal=False, code=f"config_file_{why}", fix=fix,
                          message=f"{name}: the kept copy of {file.target} (config/{file.source}) is {why}")


def _strangers(listed: Sequence[ContainerFacts], s: Services) -> Iterator[Finding]:
    ours = {known for i in s.ledger.instances() for known in (i.container, i.name)}
    if listed and (engine := s.engine.info().id):
        s.ledger.set_engine(engine)
    strangers = [c.name for c in listed if not {c.id, c.name} & ours]
    if strangers:
        text = f"have this home's label but are not in the ledger: {', '.join(strangers)}"
        yield Finding("strangers", ok=False, fatal=False, message=text)
