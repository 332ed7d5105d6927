"""Run one command in a container of its own, beside the live release."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.errors import Invalid, NotFound
from deployctl.usecases.read_facts import require_app, target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import App, Release
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import Services
    from deployctl.ports.inside import Streams


def run_once(app: AppName, command: Sequence[str], streams: Streams, s: Services, *,
             component: ComponentName | None = None) -> int:
    """Return the command's exit code. Its container has the image, variables, networks, names and mounts of the component,
    of the one that clients reach unless another is named; it gets no requests and is removed afterwards.

    No lease is taken: a command may take hours, and a rollback must not wait for it. Raises NotFound without a live
    version, Invalid without a command.
    """
    from deployctl.execution.kinds import one_off

    if not command or not command[0]:
        raise Invalid("no command to run", remedy=[f"deployctl run {app} -- COMMAND"], code="usage")
    app, component = target_of(app, component, s)
    row, release = require_live(app, s)
    return one_off.run_once(row, release, component_of(release, component), command, streams, s)


def require_live(app: AppName, s: Services) -> tuple[App, Release]:
    """Return the app and its live release. Raises NotFound."""
    row = require_app(app, s)
    release = s.ledger.find_release(app, row.active) if row.active is not None else None
    if release is None:
        raise NotFound(f"{app} has no live version", remedy=[f"deployctl status {app}"])
    return row, release


def component_of(release: Release, name: ComponentName | None) -> Component:
    """Return the component of that name, or the one that clients reach. Raises NotFound."""
    for one in release.components:
        if name in {None, one.name}:
            return one
    names = ", ".join(one.name for one in release.components)
    raise NotFound(f"{release.app} {release.version} has no component {name}, only {names}")
