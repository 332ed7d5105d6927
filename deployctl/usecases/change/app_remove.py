"""Remove an app from this server: containers, network, guard route, address. Its history stays in the ledger, and its
volumes with their data stay unless it is said that they go, too."""

from __future__ import annotations

from deployctl.errors import ConfirmationNeeded
from deployctl.execution.mounts import find_volumes
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.usecases.steps.teardown import remove, remove_backing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def remove_app(app: AppName, s: Services, *, volumes: bool = False, options: ChangeOptions = ChangeOptions()) -> Done:
    """Remove everything of the app that carries our label, with `volumes` also its data. The app's name must be typed
    first. An app that is gone already may have left volumes."""
    if s.ledger.find_app(app) is None and not (volumes and find_volumes(app, s)):
        require_app(app, s)
    with lease(app, "remove", s, options) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        kept = find_volumes(app, s)
        row = s.ledger.find_app(app)
        instances = s.ledger.instances(app) if row else []
        if not options.confirmed and (row or volumes):
            question = _question(app, row, len(instances), kept, volumes=volumes)
            raise ConfirmationNeeded(question + _and_secrets(app, s), type_name=app)
        remove_backing(app, s, options)
        if row is not None:
            remove(row, s, options, token)
            s.imports().keep_gaps(app, ())
        for name in kept.values() if volumes else ():
            s.engine.ensure_volume_gone(name)
    return _gone(app, f"{len(instances)} containers" if row else "its containers", kept, volumes=volumes)


def _question(app: AppName, row: App | None, containers: int, kept: Mapping[str, str], *, volumes: bool) -> str:
    if row is None:
        return f"This deletes what {app} has left, {_named(kept)}, for good."
    fate = f" {_spelt(kept)} deleted for good." if volumes and kept else f" {_spelt(kept)} kept." if kept else ""
    return (f"This removes {app} with {containers} containers from this server; clients of {row.address} can no longer "
            f"connect. config/{app}.toml and the history are kept.{fate}")


def _and_secrets(app: AppName, s: Services) -> str:
    names = sorted({one.name for one in s.secrets().held(app)})
    return f" The secret{'s' * (len(names) > 1)} {', '.join(names)} {'are' if names[1:] else 'is'} deleted for good." \
        if names else ""


def _gone(app: AppName, containers: str, kept: Mapping[str, str], *, volumes: bool) -> Done:
    more = []
    if kept:
        more = [f"{_spelt(kept)} deleted."] if volumes else [
            f"{_spelt(kept)} kept. To delete the data: deployctl app remove {app} --volumes"]
    return Done("Remove", app, f"{app} was removed from this server: {containers}, its network and its address",
                (*more, f"config/{app}.toml still exists."))


def _named(kept: Mapping[str, str]) -> str:
    return f"the volume{'s' * (len(kept) > 1)} {', '.join(kept)}"


def _spelt(kept: Mapping[str, str]) -> str:
    return f"The volume{'s' * (len(kept) > 1)} {', '.join(kept)} {'are' if len(kept) > 1 else 'is'}"
