"""TOML → AppSpec and ServerSpec. Modules that need pydantic are imported only if there is something to check."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from deployctl.config.toml_text import parse_toml, read_text, where
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import parse_app
from deployctl.errors import DeployctlError, Invalid, NotFound

TOML = ".toml"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeVar

    from deployctl.config.app import AppSpec
    from deployctl.config.clashes import Clash
    from deployctl.config.settings import Settings
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName

    K = TypeVar("K")
    V = TypeVar("V")



# -- apps -------------------------------------------------------------------------------------------------------
def load_app(settings: Settings, app: AppName) -> AppSpec:
    """Return the contents of config/<app>.toml. Raises NotFound with the closest name, or Invalid with every
    mistake."""
    from deployctl.config.app import parse_app_spec

    path = settings.app_file(parse_app(app))  # again: here the name becomes a path
    try:
        text = read_text(path)
    except NotFound:
        raise _no_such_app(settings, app) from None
    return parse_app_spec(parse_toml(text, path), where=where(path))


def read_apps(settings: Settings) -> dict[AppName, str | DeployctlError]:
    """Return the text of every app's file, or why it cannot be read."""
    return {app: _or_error(read_text, settings.app_file(app)) for app in app_names(settings)}


def check_apps(settings: Settings, texts: Mapping[AppName, str | DeployctlError], server: ServerSpec, *,
               now: Callable[[AppName], App | None]) -> dict[AppName, AppSpec | DeployctlError]:
    """Return for each of these files what `load_checked_app` returns or raises, all of them parsed once."""
    from deployctl.config.app import parse_app_spec
    from deployctl.config.clashes import clashes, require_none

    def parsed(app: AppName) -> AppSpec:
        text, path = texts[app], settings.app_file(app)
        if isinstance(text, DeployctlError):
            raise text
        return parse_app_spec(parse_toml(text, path), where=where(path))

    def checked(app: AppName) -> AppSpec:
        spec = specs[app]
        alone = _keeps(spec, now(app))
        require_none([clash for clash in claimed.get(app, ()) if not alone or clash.apps == (app,)])
        _require_room(app, spec, server)
        return spec

    found = {app: _or_error(parsed, app) for app in texts}
    specs = {app: spec for app, spec in found.items() if not isinstance(spec, DeployctlError)}
    claimed: dict[AppName, list[Clash]] = {}
    for clash in clashes(specs, server):
        for app in clash.apps:
            claimed.setdefault(app, []).append(clash)
    return {**found, **{app: _or_error(checked, app) for app in specs}}


def _or_error(read: Callable[[K], V], of: K) -> V | DeployctlError:
    try:
        return read(of)
    except DeployctlError as error:
        return error


def _no_such_app(settings: Settings, app: AppName) -> NotFound:
    from difflib import get_close_matches

    names = app_names(settings)
    near = get_close_matches(app, names, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    known = [f"Apps here: {', '.join(names)}"] if names and not near else []
    return NotFound(f'No app "{app}".{guess}', remedy=[*known, f"Create it: deployctl init {app}"])


def app_names(settings: Settings) -> list[AppName]:
    """Return the apps that have a file, sorted; files whose name is not an app name are skipped."""
    names = []
    folder = settings.config_dir  # `glob` would compile an expression for this
    paths = folder.iterdir() if os.access(folder, os.R_OK | os.X_OK) else ()
    for name in sorted(path.name for path in paths):
        if not name.endswith(TOML):
            continue
        try:
            names.append(parse_app(name.removesuffix(TOML)))
        except Invalid:  # server.toml, example.toml, an editor's backup copy
            continue
    return names


def load_all_apps(
    settings: Settings, *, skipped: Callable[[DeployctlError], None] | None = None
) -> dict[AppName, AppSpec]:
    """Return every app's spec. An invalid file is an error, or is passed to `skipped` and left out: a mistake in one
    app's file must not keep another app from rolling back."""
    specs = {}
    for app in app_names(settings):
        try:
            specs[app] = load_app(settings, app)
        except DeployctlError as error:
            if skipped is None:
                raise
            skipped(error)
    return specs


def load_checked_app(settings: Settings, app: AppName, server: ServerSpec, *, now: App | None = None) -> AppSpec:
    """Return the app's spec, if no other app's file and nothing of the server claims the same address or name. An app
    that keeps what it has `now` is not blocked by a newcomer's file: that one is rejected."""
    spec = load_app(settings, app)
    _require_unclaimed(settings, app, spec, server, keeps=_keeps(spec, now))
    _require_room(app, spec, server)
    return spec


def _keeps(spec: AppSpec, now: App | None) -> bool:
    """Return whether the file has the address that the app has already."""
    return now is not None and (spec.listen, spec.hosts) == (now.listen, now.hosts)


def _require_room(app: AppName, spec: AppSpec, server: ServerSpec) -> None:
    from deployctl.domain.change.retention import require_room

    policy = spec.policy(server)
    require_room(keep_warm=policy.keep_warm, keep_stopped=policy.keep_stopped, where=f"config/{app}.toml")


def require_unclaimed(settings: Settings, app: AppName, text: str, server: ServerSpec) -> None:
    """Raise Invalid if a file of that text for that app would claim what another file or the server has."""
    from deployctl.config.app import parse_app_spec

    path = settings.app_file(app)
    _require_unclaimed(settings, app, parse_app_spec(parse_toml(text, path), where=where(path)), server)


def _require_unclaimed(settings: Settings, app: AppName, spec: AppSpec, server: ServerSpec, *, keeps: bool = False) -> None:
    from deployctl.config.clashes import require_no_clashes

    others = {} if keeps else load_all_apps(settings, skipped=lambda error: None)  # an invalid file claims nothing yet
    require_no_clashes({**others, app: spec}, server, app=app)


# -- the server -------------------------------------------------------------------------------------------------
def load_server(path: Path) -> ServerSpec:
    """Return the contents of config/server.toml; without the file, or a key in it, the defaults."""
    try:
        text = read_text(path)
    except NotFound:
        return ServerSpec()
    if _says_nothing(text):
        return ServerSpec()
    from deployctl.config.server_file import parse_server_spec

    return parse_server_spec(parse_toml(text, path), where=where(path))


def _says_nothing(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())
