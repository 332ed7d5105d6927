"""Files that people write, judged once: the verdict is kept in state/ under the hash of all that it depends on.

Judging takes pydantic, 50 to 90 ms of import that a rollback, and most upgrades, need not spend
(docs/adr/0002-start-time.md). A wrong file is never kept; a kept verdict counts only for exactly these texts and
this version of deployctl.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from deployctl import __version__
from deployctl.config_file import read_text
from deployctl.config_loader import app_names, load_checked_app, load_server
from deployctl.domain.app_file import AppFile
from deployctl.domain.image_source import PullPolicy
from deployctl.domain.names import AppName
from deployctl.domain.release import App
from deployctl.domain.server import FormerSpec, ServerSpec, WebSpec
from deployctl.effects.whole_file import write_whole
from deployctl.errors import DeployctlError, NotFound, Untrusted
from deployctl.home_files import require_believed_home
from deployctl.settings import Settings


def load_judged_server(settings: Settings) -> ServerSpec:
    """Return what config/server.toml says; where others may write to it, what it said when it was believed last. Raises
    Invalid with every mistake."""
    kept = settings.state_dir / "server.json"
    try:
        require_believed_home(settings, os.environ)
        mark = _mark([read_text(settings.server_file)])
    except NotFound:
        return ServerSpec()
    except Untrusted:
        return _believed_last(kept)
    if (known := _find(kept, mark)) is not None:
        return _server(json.loads(known))
    spec = load_server(settings.server_file)
    _keep(kept, mark, json.dumps(asdict(spec)))
    return spec


def load_judged_app(settings: Settings, app: AppName, server: ServerSpec, *,
                    now: Callable[[], App | None] = lambda: None) -> AppFile:
    """Return what config/<app>.toml says, checked against the server and all other apps' files. `now` gives the app as it
    is deployed: what it has already, no other app's file takes away.

    Raises NotFound, Invalid with every mistake, or Untrusted: others may write to the home or the file.
    """
    require_believed_home(settings, os.environ)
    kept = settings.state_dir / f"app-{app}.json"
    mark = _mark([repr(server), *_texts(settings)])
    if settings.app_file(app).is_file() and (known := _find(kept, mark)) is not None:
        return AppFile.from_json(known)
    judged = load_checked_app(settings, app, server, now=now()).judged(server)
    _keep(kept, mark, judged.to_json())
    return judged


def _texts(settings: Settings) -> Iterable[str]:
    """Yield every app's name and text, because a clash is a matter of two files; an unreadable one is its error."""
    for app in app_names(settings):
        try:
            yield f"{app}\0{read_text(settings.app_file(app))}"
        except DeployctlError as e:
            yield f"{app}\0{e.message}"


def _mark(texts: Iterable[str]) -> str:
    return sha256("\0\0".join([__version__, *texts]).encode()).hexdigest()


def _believed_last(kept: Path) -> FormerSpec:
    """Return what was judged last, whatever the file says by now; every default where that is not known."""
    try:
        last = _server(json.loads(json.loads(kept.read_text())["verdict"]))
    except (OSError, ValueError, KeyError, TypeError):
        last = ServerSpec()
    return FormerSpec(**{one.name: getattr(last, one.name) for one in fields(last)})


def _find(kept: Path, mark: str) -> str | None:
    try:
        found = json.loads(kept.read_text())
    except (OSError, ValueError):
        return None
    return str(found["verdict"]) if isinstance(found, dict) and found.get("of") == mark else None


def _keep(kept: Path, mark: str, verdict: str) -> None:
    if kept.parent.is_dir():  # a home that has no state yet gets none by being looked at
        write_whole(kept, json.dumps({"of": mark, "verdict": verdict}))


def _server(raw: dict[str, Any]) -> ServerSpec:
    web = WebSpec(**{name: _frozen(value) for name, value in raw.get("web", {}).items()})
    pull = PullPolicy(raw.get("pull", ServerSpec().pull))
    return ServerSpec(**{**{name: _frozen(value) for name, value in raw.items()}, "web": web, "pull": pull})


def _frozen(value: object) -> Any:
    """Return lists as the tuples that they were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
