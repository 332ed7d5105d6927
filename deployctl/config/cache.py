"""Configuration files, checked once: the result is cached in state/ under the hash of everything it depends on.

Checking takes pydantic, 50 to 90 ms of import that a rollback, and most upgrades, need not spend
(docs/adr/0002-start-time.md). An invalid file is never cached; a cached result applies only to exactly these texts and
this version of deployctl.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Lock

from deployctl import __version__
from deployctl.config.loader import check_apps, load_checked_app, load_server, read_apps
from deployctl.config.toml_text import read_text
from deployctl.config.trusted_files import require_believed_home
from deployctl.dataclass import asdict, fields
from deployctl.digest import sha256
from deployctl.domain.host.server import Allowance, FormerSpec, ServerSpec, WebSpec
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.effects.linux.whole_file import write_whole
from deployctl.errors import DeployctlError, NotFound, Untrusted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.config.settings import Settings
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName


def load_judged_server(settings: Settings) -> ServerSpec:
    """Return the contents of config/server.toml; if others may write to it, those when it was last trusted. Raises
    Invalid with every mistake."""
    kept = settings.state_dir / "server.json"
    try:
        require_believed_home(settings, os.environ)
        mark = _mark([read_text(settings.server_file)])
    except NotFound:
        return ServerSpec()
    except Untrusted:
        return _believed_last(kept)
    if (known := _find_judged(settings, kept, mark)) is not None:
        return _server(json.loads(known))
    spec = load_server(settings.server_file)
    _keep(kept, mark, json.dumps(asdict(spec)), durable=True)
    return spec


def load_judged_app(settings: Settings, app: AppName, server: ServerSpec, *,
                    now: Callable[[], App | None] = lambda: None) -> AppFile:
    """Return the contents of config/<app>.toml, checked against the server and all other apps' files. `now` returns the
    app as it is deployed: no other app's file can take away what it has.

    Raises NotFound, Invalid with every mistake, or Untrusted: others may write to the home or the file.
    """
    require_believed_home(settings, os.environ)
    mark = _mark_of(read_apps(settings), server)
    if settings.app_file(app).is_file() and (known := _find_judged(settings, _kept(settings, app), mark)) is not None:
        return AppFile.from_json(known)
    judged = load_checked_app(settings, app, server, now=now()).judged(server)
    _keep(_kept(settings, app), mark, judged.to_json())
    return judged


def load_judged_apps(settings: Settings, server: ServerSpec, *,
                     now: Callable[[AppName], App | None]) -> dict[AppName, AppFile | DeployctlError]:
    """Return for every app's file what `load_judged_app` returns or raises. Each is read once for all of them: with a
    thousand apps, one by one would be a million reads."""
    texts = read_apps(settings)
    try:
        require_believed_home(settings, os.environ)
    except Untrusted as e:
        return dict.fromkeys(texts, e)
    mark = _mark_of(texts, server)
    found = _judged_already(settings, texts, mark)
    if len(found) < len(texts) and judged_apart(settings):
        found = _judged_already(settings, texts, mark)
    if len(found) == len(texts):
        return found
    for app, spec in check_apps(settings, texts, server, now=now).items():
        if isinstance(spec, DeployctlError):
            found[app] = spec
        elif app not in found:
            found[app] = judged = spec.judged(server)
            _keep(_kept(settings, app), mark, judged.to_json())
    return found


def _judged_already(settings: Settings, apps: Iterable[AppName], mark: str) -> dict[AppName, AppFile | DeployctlError]:
    return {app: AppFile.from_json(known) for app in apps if (known := _find(_kept(settings, app), mark)) is not None}


def _kept(settings: Settings, app: AppName) -> Path:
    return settings.state_dir / f"app-{app}.json"


def _mark_of(texts: Mapping[AppName, str | DeployctlError], server: ServerSpec) -> str:
    """It covers every app's name and text, because a conflict involves two files; an unreadable one counts as its
    error."""
    parts = (f"{app}\0{text.message if isinstance(text, DeployctlError) else text}" for app, text in texts.items())
    return _mark([repr(server), *parts])


def _mark(texts: Iterable[str]) -> str:
    return sha256("\0\0".join([__version__, *texts]).encode()).hexdigest()


def _believed_last(kept: Path) -> FormerSpec:
    """Return the last trusted result, whatever the file says now; every default if it is unknown."""
    try:
        last = _server(json.loads(json.loads(kept.read_text())["verdict"]))
    except (OSError, ValueError, KeyError, TypeError):
        last = ServerSpec()
    return FormerSpec(**{one.name: getattr(last, one.name) for one in fields(last)})


def _find_judged(settings: Settings, kept: Path, mark: str) -> str | None:
    """Return the result, which another process may have to compute first."""
    known = _find(kept, mark)
    return _find(kept, mark) if known is None and judged_apart(settings) else known


def _find(kept: Path, mark: str) -> str | None:
    try:
        found = json.loads(kept.read_text())
    except (OSError, ValueError):
        return None
    return str(found["verdict"]) if isinstance(found, dict) and found.get("of") == mark else None


def _keep(kept: Path, mark: str, verdict: str, *, durable: bool = False) -> None:
    """A result lost in a power cut is computed again. The last trusted settings could not be."""
    if kept.parent.is_dir():  # reading must not create a state folder
        write_whole(kept, json.dumps({"of": mark, "verdict": verdict}), durable=durable)


def _server(raw: dict[str, Any]) -> ServerSpec:
    web = WebSpec(**{name: _frozen(value) for name, value in raw.get("web", {}).items()})
    pull = PullPolicy(raw.get("pull", ServerSpec().pull))
    allow = tuple((app, Allowance(**{key: _frozen(value) for key, value in told.items()}))
                  for app, told in raw.get("allow", ()))
    return ServerSpec(**{**{name: _frozen(value) for name, value in raw.items()}, "web": web, "pull": pull, "allow": allow})


def _frozen(value: object) -> Any:
    """Return lists as tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


# -- in a process of its own ---------------------------------------------------------------------------------------
WAIT = 30.0  # seconds; a thousand files take 3
_wanted, _lock = False, Lock()


def judge_apart() -> None:
    """Have this process's files checked by another one from now on."""
    global _wanted
    _wanted = True


def judged_apart(settings: Settings) -> bool:
    """Return whether another process has just checked the files: errors are not cached, and the caller finds them
    itself. False if it checks by itself anyway."""
    if not _wanted or "pydantic" in sys.modules:
        return False
    import subprocess

    with _lock, suppress(OSError, subprocess.TimeoutExpired):
        command = [sys.executable, "-I", "-m", "deployctl.config.cache", str(settings.home)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False, timeout=WAIT)
        return done.returncode == 0
    return False


def _judge(home: Path) -> None:
    from deployctl.config.settings import Settings

    settings = Settings(home)
    load_judged_apps(settings, load_judged_server(settings), now=lambda _app: None)


if __name__ == "__main__":
    _judge(Path(sys.argv[1]))
