"""The guide of the API works as it stands: its script deploys, waits, and says why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from werkzeug.serving import make_server

from deployctl_web.problems import STATUS_MEANINGS
from tests.guards.tree import ROOT
from tests.unit.api_world import Program
from tests.unit.web_world import HERE, Site

GUIDE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
SCRIPT = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)[0]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the guide uses curl")


@pytest.fixture
def url(shop: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("werkzeug.serving.WSGIRequestHandler.log", lambda *_words: None)
    server = make_server("127.0.0.1", 0, lambda environ, start: shop.app({**environ, "HTTP_HOST": HERE}, start), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def deploy(version: str, folder: Path, url: str, token: str) -> subprocess.CompletedProcess[str]:
    script = folder / "deploy.sh"
    script.write_text(SCRIPT)
    environ = {"PATH": os.environ["PATH"], "URL": url, "TOKEN": token, "BUILD": "7"}
    return subprocess.run(["sh", str(script), version], cwd=folder, env=environ, capture_output=True, text=True, timeout=60,
                          check=False)


def test_the_script_deploys_and_says_so(shop: Site, url: str, tmp_path: Path) -> None:
    done = deploy("v3", tmp_path, url, Program(shop).secret)
    assert (done.returncode, shop.w.serving) == (0, "v3"), done
    assert '"kind": "Upgrade"' in done.stdout


def test_the_script_waits_for_an_operation(shop: Site, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.web_state.waits.glance = 0.0
    monkeypatch.setattr("deployctl_web.api.routes_change.wait_for", lambda _job: False)
    assert deploy("v3", tmp_path, url, Program(shop).secret).returncode == 0
    assert shop.w.serving == "v3"
    shop.w.sick["v4"] = 500
    failed = deploy("v4", tmp_path, url, Program(shop, "other").secret)
    assert (failed.returncode, shop.w.serving) == (1, "v3")
    assert '"code": "not_healthy"' in failed.stdout


def test_the_script_says_why_not(shop: Site, url: str, tmp_path: Path) -> None:
    shop.w.sick["v3"] = 500
    failed = deploy("v3", tmp_path, url, Program(shop).secret)
    assert (failed.returncode, shop.w.serving) == (1, "v2")
    assert "gave 500" in failed.stdout


def test_the_table_of_statuses_is_the_one_of_the_document() -> None:
    told = {int(one) for row in re.findall(r"^\| ([\d, ]+) \|", GUIDE, re.MULTILINE) for one in row.split(", ")}
    assert told == STATUS_MEANINGS.keys() - {405, 421, 428, 500}
