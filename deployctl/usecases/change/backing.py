"""Backing components of an app: the first upgrade of the app starts those that are missing, and no upgrade changes them."""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.inputs.names import ComponentName, backing_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deployctl.domain.images.image_source import PullPolicy
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services
    from deployctl.usecases.results import Preview
    from deployctl.usecases.steps.options import ChangeOptions

    Wanted = Mapping[AppName, Version]  # component → version that the app's file asks for


def start_missing(app: AppName, wanted: Wanted, s: Services, *, options: ChangeOptions) -> None:
    """Start the backing components that have never run, and warn of those that run in another version than the file asks
    for. Raises what `upgrade` raises of the first one that does not start."""
    from deployctl.usecases.change.upgrade import upgrade

    own = replace(options, if_revision=None)  # the revision that was meant is the app's
    for name, version in _missing(app, wanted, s):
        upgrade(name, version, s, options=own)
    for warning in differing(app, wanted, s):
        s.report.warn(warning)


def preview_missing(app: App, wanted: Wanted, s: Services, *, pull: PullPolicy | None) -> tuple[Preview, ...]:
    """Return the plans that `start_missing` would carry out; `app` may not be in the ledger yet."""
    from deployctl.usecases.change.upgrade import preview_of
    from deployctl.usecases.steps.prepare import prepare

    return tuple(preview_of(prepare(name, version, s, pull=pull, dry_run=True, beside=app), s, pull=pull)
                 for name, version in _missing(app.name, wanted, s))


def _missing(app: AppName, wanted: Wanted, s: Services) -> Iterator[tuple[AppName, Version]]:
    """Yield those that have never run, with the version that the file asks for."""
    for component, version in wanted.items():
        name = backing_name(app, ComponentName(component))
        row = s.ledger.find_app(name)
        if row is None or (row.active is None and not s.ledger.changes(name, limit=1)):
            yield name, version


def differing(app: AppName, wanted: Wanted, s: Services) -> Iterator[str]:
    """Yield what does not run as the file asks, and how to change that: no upgrade of the app does."""
    for component, version in wanted.items():
        name = backing_name(app, ComponentName(component))
        row = s.ledger.find_app(name)
        live = s.ledger.find_release(name, row.active) if row and row.active is not None else None
        if live is not None and live.version != version:
            yield (f"{name} runs {live.version}, and config/{app}.toml asks for {version}: "
                   f"deployctl upgrade {name} {version}")
        elif live is None and row is not None and s.ledger.changes(name, limit=1):
            yield f"{name} is stopped: deployctl upgrade {name} {version}"
