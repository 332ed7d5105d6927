"""Backing components of an app: the first upgrade of the app starts those that are missing, and no upgrade changes them."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.inputs.names import ComponentName, backing_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions


def start_missing(app: AppName, wanted: Mapping[AppName, Version], s: Services, *, options: ChangeOptions) -> None:
    """Start the backing components that have never run, and warn of those that run in another version than the file asks
    for. Raises what `upgrade` raises of the first one that does not start."""
    from deployctl.usecases.change.upgrade import upgrade

    own = replace(options, if_revision=None)  # the revision that was meant is the app's
    for component, version in wanted.items():
        name = backing_name(app, ComponentName(component))
        row = s.ledger.find_app(name)
        live = s.ledger.find_release(name, row.active) if row and row.active is not None else None
        if row is None or (row.active is None and not s.ledger.changes(name, limit=1)):
            upgrade(name, version, s, options=own)
        elif live is None:
            s.report.warn(f"{name} is stopped: deployctl upgrade {name} {version}")
        elif live.version != version:
            s.report.warn(f"{name} runs {live.version}, and config/{app}.toml asks for {version}: "
                          f"deployctl upgrade {name} {version}")
