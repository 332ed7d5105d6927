"""A long-running process has files checked by another one, and gets the same results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployctl.config.cache import load_judged_app
from deployctl.config.settings import Settings
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName
from tests.guards import tree

SHOP = AppName("shop")
ASKS = """
import json, sys
from pathlib import Path
from deployctl.config import cache
from deployctl.config.cache import load_judged_app, load_judged_apps, load_judged_server
from deployctl.config.settings import Settings
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError
if "apart" in sys.argv:
    cache.judge_apart()
home = Settings(Path(sys.argv[1]))
try:
    server = load_judged_server(home)
    told = load_judged_app(home, AppName("shop"), server).to_json()
    together = load_judged_apps(home, server, now=lambda app: None)["shop"].to_json()
    assert told == together
except DeployctlError as e:
    told = e.message
print(json.dumps([told, "pydantic" in sys.modules]))
"""


def home(folder: Path, text: str = 'image = "acme/shop"\nport = 8080\nlisten = 8000\n') -> Path:
    settings = Settings(folder)
    for needed in (settings.config_dir, settings.state_dir):
        needed.mkdir(exist_ok=True)
    settings.server_file.write_text('[ports]\nrange = "30000-30099"\n')
    settings.app_file(SHOP).write_text(text)
    return folder


def told(folder: Path, *how: str) -> tuple[Any, bool]:
    """Return what a new process finds out of the home's files, and whether it has pydantic then."""
    command = [sys.executable, "-c", ASKS, str(folder), *how]
    said, loaded = json.loads(subprocess.run(command, cwd=tree.ROOT, capture_output=True, check=True).stdout)
    return said, loaded


def test_files_are_judged_apart_as_they_would_be_here(tmp_path: Path) -> None:
    here, there = told(home(tmp_path)), told(home(tmp_path, 'image = "acme/shop"\nport = 8081\nlisten = 8000\n'), "apart")
    assert (here[1], there[1]) == (True, False)
    judged = load_judged_app(Settings(tmp_path), SHOP, ServerSpec(), now=lambda: None)
    assert json.loads(there[0]) == json.loads(here[0].replace("8080", "8081"))
    assert judged.to_json().count("8081")


def test_what_is_wrong_is_said_in_the_same_words(tmp_path: Path) -> None:
    wrong = home(tmp_path, 'image = "acme/shop"\nport = "much"\nlisten = 8000\n')
    apart = told(wrong, "apart")
    assert apart == (told(wrong)[0], True)
    assert "port" in apart[0]
