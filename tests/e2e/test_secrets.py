"""A secret of an app, for real: it reaches the container, and nobody finds it anywhere else in clear."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from tests.e2e.cli import Cli, command, home_of_a_person, run_program, wait_until
from tests.e2e.test_serve import serving, signed_in
from tests.images import ensure_images

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="secrets are laid into memory by root")

FILE, TOKEN, OTHER = "canary-file-5f0e11", "canary-token-5f0e22", "canary-other-5f0e33"
CANARIES = (FILE, TOKEN, OTHER)
PEM = "-----BEGIN CANARY-----\ncanary-line-5f0e44\n-----END CANARY-----\n"
ALL = (*CANARIES, "canary-line-5f0e44")
APP: dict[str, Any] = {"image": "dctl-test/telltale",
                       "secrets": ["DATABASE_URL", "PEM", {"name": "TOKEN", "env": "TOKEN"}]}
MOMENTS = (0.15, 0.35, 0.6, 0.9, 1.3)  # seconds after which an upgrade is killed


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def set_secret(cli: Cli, app: str, name: str, value: str) -> None:
    """By standard input, as a pipe gives it."""
    done = subprocess.run(command(cli.home, "secret", "set", app, name), input=f"{value}\n", capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done
    assert_clear_of_canaries(done.stdout + done.stderr, "secret set")


def told(cli: Cli, app: str) -> dict[str, Any]:
    """Return what the live container says it has: hashes."""
    return dict(json.loads(cli.get(app, "/secrets").body))


def assert_clear_of_canaries(text: str, where: str) -> None:
    assert not [one for one in ALL if one in text], where


def page_of(port: int, path: str, cookie: str) -> str:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as browser:
        browser.request("GET", path, headers={"Cookie": cookie})
        answer = browser.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, (path, answer.status)
        return text


def assert_nowhere(cli: Cli, app: str) -> None:
    """Look for the values in everything of this home and its containers but the memory that is theirs."""
    for path in cli.home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found = path.read_bytes()
            assert not [one for one in ALL if one.encode() in found], path
    for container in cli.containers(app):
        inspected = cli.api.inspect_container(container["Id"])
        assert_clear_of_canaries(json.dumps(inspected), "inspect")
        layer = Path(inspected["GraphDriver"]["Data"]["UpperDir"])
        for path in layer.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert not [one for one in ALL if one.encode() in path.read_bytes()], path
        history = cli.api.get(f"{cli.api.base_url}/images/{inspected['Image']}/history")
        assert_clear_of_canaries(json.dumps(history.json()), "layers")
        if inspected["State"]["Running"]:
            with suppress(APIError):  # it ends meanwhile: its processes are in /proc, below, as long as they are
                assert_clear_of_canaries(json.dumps(cli.api.top(container["Id"])), "processes")
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert_clear_of_canaries(line.read_bytes().decode(errors="replace"), str(line))
        except OSError:
            continue


@pytest.fixture(scope="module")
def vault(engine_url: str) -> Iterator[Cli]:
    ensure_images(("telltale", "v1"), ("telltale", "v2"), base_url=engine_url)
    with home_of_a_person(engine_url) as cli:
        cli.write("shop", **APP)
        for name, value in (("DATABASE_URL", FILE), ("PEM", PEM.removesuffix("\n")), ("TOKEN", TOKEN)):
            set_secret(cli, "shop", name, value)
        cli.do("upgrade", "shop", "v1")
        yield cli


def test_a_container_has_files_of_its_user_and_a_variable(vault: Cli) -> None:
    found = told(vault, "shop")
    assert found["files"] == {"DATABASE_URL": digest(FILE), "PEM": digest(PEM.removesuffix("\n")), "TOKEN": digest(TOKEN)}
    assert found["env"]["TOKEN"] == digest(TOKEN)
    assert "DATABASE_URL" not in found["env"]
    assert found["uid"] == 4711
    assert set(found["modes"].values()) == {"0400"}


def test_the_launcher_hands_signals_and_exit_codes_on(vault: Cli) -> None:
    container = next(one for one in vault.containers("shop") if one["State"] == "running")
    inspected = vault.api.inspect_container(container["Id"])
    assert inspected["Config"]["Entrypoint"][0] == "/.deployctl/launch"
    assert Path(f"/proc/{inspected['State']['Pid']}/comm").read_text() != "launch\n", "the program took its place"
    began = time.monotonic()
    vault.api.stop(container["Id"], timeout=20)
    assert time.monotonic() - began < 15
    assert vault.api.inspect_container(container["Id"])["State"]["ExitCode"] == 0
    vault.do("reconcile", "shop")
    wait_until(lambda: vault.get("shop").status == 200, what="the app", within=60)


def test_the_next_upgrade_takes_a_value_and_a_rollback_the_former_one(vault: Cli) -> None:
    set_secret(vault, "shop", "TOKEN", OTHER)
    assert told(vault, "shop")["env"]["TOKEN"] == digest(TOKEN), "what runs is not touched"
    vault.do("upgrade", "shop", "v1")
    assert told(vault, "shop")["env"]["TOKEN"] == digest(OTHER)
    vault.do("rollback", "shop")
    assert told(vault, "shop")["env"]["TOKEN"] == digest(TOKEN)
    vault.do("undo", "shop")
    assert told(vault, "shop")["env"]["TOKEN"] == digest(OTHER)
    assert vault.refused(5, "secret", "remove", "shop", "TOKEN", "--yes").told["error"]["code"] == "secret_needed"


def test_nobody_finds_a_value_in_clear_anywhere(vault: Cli, tmp_path: Path) -> None:
    cli, texts = vault, list[str]()
    cli.write("shop", **{**APP, "health": {"path": "/nowhere", "rise": 1, "deadline": "2s"}})
    texts.append(str(cli.refused(1, "upgrade", "shop", "v2")))  # its last lines are evidence
    assert "***" in texts[0]
    cli.write("shop", **APP, keep_stopped=0)
    for words in (("upgrade", "shop", "v2", "--dry-run"), ("upgrade", "shop", "v2"), ("prune", "shop"), ("status", "shop"),
                  ("show", "shop", "v2"), ("diff", "shop", "v1", "v2"), ("history", "shop"), ("audit",), ("logs", "shop"),
                  ("logs", "shop", "v1"), ("secret", "list"), ("reconcile",), ("ledger", "verify"),
                  ("ledger", "backup", str(tmp_path / "copy.db"))):
        texts += [str(cli.text(*words)), str(cli.run(*words))]
    logs = cli.text("logs", "shop").out
    assert "connecting with DATABASE_URL=***" in logs
    assert "the variable is ***" in logs
    with serving(cli) as web:
        paths = ["apps", "apps/shop", "apps/shop/versions/v2", "apps/shop/history", "apps/shop/logs", "apps/shop/deployments",
                 "audit", "server"]
        texts += [str(web.ask("GET", f"/api/v1/{path}")) for path in paths]
        cookie = signed_in(web, cli.do("user", "add", "mara", "--role", "admin")["link"]["url"])
        assert cookie
        pages = ("/", "/apps/shop", "/apps/shop/versions/v2", "/apps/shop/logs", "/apps/shop/compare?a=v1&b=v2", "/activity",
                 "/server", "/settings")
        texts += [page_of(web.port, path, cookie) for path in pages]
        assert "DATABASE_URL value " in page_of(web.port, "/apps/shop/versions/v2", cookie)
        texts.append(web.said)
    for text in texts:
        assert_clear_of_canaries(text, text[:200])
    assert not [one for one in ALL if one.encode() in (tmp_path / "copy.db").read_bytes()]
    assert_nowhere(cli, "shop")


def test_nor_after_an_upgrade_that_was_killed_at_any_moment(vault: Cli) -> None:
    for number, moment in enumerate(MOMENTS):
        set_secret(vault, "shop", "TOKEN", f"{OTHER}-{number}")
        process = vault.begin("upgrade", "shop", "v1")
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert_nowhere(vault, "shop")
    vault.do("upgrade", "shop", "v1")
    assert told(vault, "shop")["env"]["TOKEN"] == digest(f"{OTHER}-{len(MOMENTS) - 1}")
    assert_nowhere(vault, "shop")


def test_a_missing_folder_is_drift_and_is_laid_again(vault: Cli) -> None:
    instance = next(one for one in vault.app("shop")["instances"] if one["role"] == "active")
    mounts = vault.api.inspect_container(instance["container"])["Mounts"]
    folder = Path(next(one["Source"] for one in mounts if one["Destination"] == "/run/secrets"))
    for path in folder.iterdir():
        path.unlink()
    assert "secrets" in {one["kind"] for one in vault.run("reconcile", "--dry-run").told["lines"]}
    vault.do("reconcile")
    assert {path.name for path in folder.iterdir()} == {"DATABASE_URL", "PEM", "TOKEN"}
    assert told(vault, "shop")["files"]["DATABASE_URL"] == digest(FILE)


def test_a_home_without_its_key_says_what_to_type_and_serves_on(vault: Cli) -> None:
    key = vault.home / "state/secrets.key"
    key.rename(vault.home / "elsewhere.key")
    try:
        refused = vault.refused(4, "boot").told["error"]
        assert refused["code"] == "secret_key_missing"
        assert re.search(r"install -m 600 KEYFILE .*state/secrets\.key", " ".join(refused["remedy"])) or refused["remedy"]
        assert "secret_key_missing" in {one["code"] for one in vault.run("doctor").told["findings"]}
        assert vault.get("shop").status == 200
    finally:
        (vault.home / "elsewhere.key").rename(key)
    vault.do("boot")


def test_a_removed_app_leaves_no_value_behind(vault: Cli) -> None:
    mounts = [one for container in vault.containers("shop") for one in vault.api.inspect_container(container["Id"])["Mounts"]]
    folders = [Path(one["Source"]) for one in mounts if one["Destination"] == "/run/secrets"]
    assert folders
    assert "DATABASE_URL" in run_program(vault.home, "app", "remove", "shop").err
    vault.do("app", "remove", "shop", "-y")
    assert not [folder for folder in folders if folder.exists()]
    assert not (vault.home / "state/secrets/shop").exists()
