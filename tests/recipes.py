"""The README's recipes as it prints them, and a shell that runs them: what belongs to a whole machine stands in."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.cli import PROGRAM
from tests.guards.tree import ROOT

HOME, SERVER = "/srv/deploy", "new.example.com"
PARTS = (ROOT / "README.md").read_text(encoding="utf-8").split("## Recipes\n")[1].split("\n## ")[0].split("\n**")[1:]


def recipe(title: str) -> list[str]:
    """Return the blocks of that recipe, in order."""
    (part,) = (part for part in PARTS if part.startswith(title))
    return re.findall(r"^```\w+\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)


class Shell:
    """A person's shell on a server: `folder` holds its stand-ins and, for /opt, /etc and /usr/local, a root of its own.

    `ssh HOST WORDS` runs the words here, as the shell of that host would, with `there` in place of the home.
    """

    def __init__(self, folder: Path, home: Path, there: Path | None = None) -> None:
        self.folder, self.home = folder, home
        self.bin, self.root = folder / "bin", folder / "root"
        self.bin.mkdir(parents=True)
        (self.bin / "deployctl").symlink_to(PROGRAM)
        self._stand_in("ssh", f'shift; exec sh -c "$(printf %s "$*" | sed "s|{home}|{there or home}|g")"')
        for name in ("systemctl", "git"):
            self._stand_in(name, f'echo "{name} $*" >>"{folder}/done"')
        for place in ("opt/deployctl/bin", "etc/systemd/system", "usr/local/bin"):
            (self.root / place).mkdir(parents=True)
        for file in ("etc/systemd/system/deployctl.service", "usr/local/bin/deployctl"):
            (self.root / file).touch()
        self._stand_in("pip", "exit 0", self.root / "opt/deployctl/bin")

    def _stand_in(self, name: str, does: str, folder: Path | None = None) -> None:
        path = (folder or self.bin) / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def run(self, block: str, *, environ: Mapping[str, str], at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run that block in the home, or at another place; its first failure ends it."""
        text = re.sub(r"(?<![\w.])/(opt|etc|usr)/", rf"{self.root}/\1/", block).replace(HOME, str(at or self.home))
        environ = {**environ, "PATH": f"{self.bin}:{environ['PATH']}"}
        return subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=at or self.home, env=environ, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False)
