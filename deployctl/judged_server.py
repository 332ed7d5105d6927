"""config/server.toml, judged once: the verdict is kept beside the ledger under the hash of the file's text.

Judging takes pydantic, 50 to 90 ms of import that a rollback cannot spare (docs/adr/0002-start-time.md). A wrong
file is never kept, and a kept verdict counts only for exactly this text and this version of deployctl.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from deployctl import __version__
from deployctl.config_file import read_text
from deployctl.config_loader import load_server
from deployctl.domain.server import ServerSpec
from deployctl.effects.whole_file import write_whole
from deployctl.errors import NotFound


def load_judged_server(path: Path, kept: Path) -> ServerSpec:
    """Return what the file says. Raises Invalid with every mistake."""
    try:
        mark = sha256(f"{__version__}\0{read_text(path)}".encode()).hexdigest()
    except NotFound:
        return ServerSpec()
    known = _read(kept)
    if known.get("of") == mark:
        return _spec(known["spec"])
    spec = load_server(path)
    write_whole(kept, json.dumps({"of": mark, "spec": asdict(spec)}))
    return spec


def _read(kept: Path) -> dict[str, Any]:
    try:
        found = json.loads(kept.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _spec(raw: dict[str, Any]) -> ServerSpec:
    return ServerSpec(**{name: _frozen(value) for name, value in raw.items()})


def _frozen(value: object) -> Any:
    """Return lists as the tuples that they were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
