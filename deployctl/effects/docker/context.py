"""Which engine the `docker` command uses, from its own files: the user may see something there that deployctl does
not."""

from __future__ import annotations

import json
from collections.abc import Mapping

from deployctl.digest import sha256
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_CONTEXT = "default"


def find_other_context(environ: Mapping[str, str], address: str) -> str | None:
    """Return the context of the `docker` command and its engine if that is not `address`, else None.

    DOCKER_HOST overrides every context; unreadable files name none.
    """
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/", ".docker"))
    name = environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext") or DEFAULT_CONTEXT
    if environ.get("DOCKER_HOST") or not isinstance(name, str) or name == DEFAULT_CONTEXT:
        return None
    mark = sha256(name.encode()).hexdigest()
    endpoints = _read(folder / "contexts" / "meta" / mark / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    return f"{name}, {host or 'its own engine'}" if host != address else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
