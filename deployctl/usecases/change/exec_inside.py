"""Run one command inside a container that runs already."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.errors import Invalid, NotFound
from deployctl.usecases.change.run_once import component_of, require_live
from deployctl.usecases.read_facts import observe, require_release, target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, ComponentName, Version
    from deployctl.ports import Services
    from deployctl.ports.inside import Streams


def exec_inside(app: AppName, command: Sequence[str], streams: Streams, s: Services, *, component: ComponentName | None = None,
                version: Version | None = None, number: int | None = None) -> int:
    """Return the command's exit code. It runs in the container of the component, of the one that clients reach unless
    another is named, in the live version unless another is. When this ends, however it ends, what it started has ended.

    Raises NotFound without such a container, Invalid without a command.
    """
    if not command or not command[0]:
        raise Invalid("no command to run", remedy=[f"deployctl exec {app} -- COMMAND"], code="usage")
    app, component = target_of(app, component, s)
    release = _release(app, s, version, number)
    one = component_of(release, component)
    found = [i for i in s.ledger.instances(app) if i.release == release.number and i.component == one.name]
    if not found:
        raise NotFound(f"{app} {release.version} has no container of {one.name}",
                       remedy=[f"deployctl start {app} {release.version}"])
    instance = min(found, key=lambda i: i.replica)
    return s.engine.inside().execute(instance.container or instance.name, command, streams)


def _release(app: AppName, s: Services, version: Version | None, number: int | None) -> Release:
    if version is None:
        return require_live(app, s)[1]
    return require_release(observe(app, s, version, number), version, number)
