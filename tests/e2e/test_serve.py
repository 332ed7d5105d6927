"""`deployctl serve` as a process: what HTTP asks is done as the command line does it, and one signal ends all of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.e2e.cli import Cli, command, home_of_a_person, wait_until
from tests.images import ensure_images

SLOW = {"path": "/healthz", "rise": 1, "deadline": "60s"}  # long enough to be asked to stop in the midst of it


class Serving:
    """One `deployctl serve`. `said` is what it wrote; `ask` goes to its API with a token."""

    def __init__(self, cli: Cli) -> None:
        self.cli, self.log = cli, cli.home / "serve.log"
        self.port = int(tomllib.loads((cli.home / "config/server.toml").read_text())["web"]["listen"])
        self.token = ""
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command(cli.home, "serve"), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = None) -> tuple[int, Any]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if "json" in str(answer.getheader("Content-Type")) else text

    def end(self) -> tuple[int, float]:
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(timeout=30), time.monotonic() - began


@contextmanager
def serving(cli: Cli) -> Iterator[Serving]:
    made = Serving(cli)
    try:
        wait_until(lambda: "dashboard on" in made.said, what=made.said)
        made.token = cli.do("token", "create", f"t{time.time_ns()}", "--scope", "admin")["secret"]
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.process.kill()
        made.process.wait(timeout=10)


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Cli]:
    """shop serves v2, v1 is its warm standby."""
    ensure_images(("neverhealthy", "v3"), base_url=engine_url)
    with home_of_a_person(engine_url) as found:
        found.serving("shop")
        found.do("upgrade", "shop", "v2")
        yield found


def test_a_rollback_by_the_api_is_the_rollback_and_loses_nobody(town: Cli) -> None:
    with serving(town) as web, town.visitors("shop") as visitors:
        status, told = web.ask("POST", "/api/v1/apps/shop/rollback", {})
        assert (status, told["to"], told["kind"]) == (200, "v1", "Rollback")
        assert town.active("shop") == "v1"
        status, told = web.ask("POST", "/api/v1/apps/shop/undo", {})
        assert (status, told["to"]) == (200, "v2")
        entry = town.do("audit", "shop", "-n", "1")["entries"][0]
        assert (entry["how"], entry["address"], entry["what"]) == ("token", "127.0.0.1", "undo")
        code, seconds = web.end()
        assert (code, seconds < 3) == (0, True), web.said
    assert visitors.count.lost == 0


def test_the_end_asks_what_is_under_way_to_stop_and_it_is_taken_back(town: Cli) -> None:
    town.write("shop", health=SLOW)
    before = town.app("shop")["active"]["version"]
    with serving(town) as web, town.visitors("shop") as visitors:
        status, _ = web.ask("POST", "/api/v1/apps/shop/upgrade", {"version": "v3", "image": "dctl-test/neverhealthy:v3"})
        assert status == 202
        wait_until(lambda: town.rows("select phase from deployments where finished_at is null") == [("probing",)], what="it")
        code, seconds = web.end()
        assert (code, seconds < 12) == (0, True), web.said
    assert visitors.count.lost == 0
    assert town.rows("select id from deployments where finished_at is null") == []
    assert town.active("shop") == before
    entry = town.do("audit", "shop", "-n", "1")["entries"][0]
    assert (entry["what"], entry["result"]) == ("upgrade", "failed")
    town.write("shop")


def test_a_backup_that_is_put_back_counts_at_the_next_request(town: Cli) -> None:
    with serving(town) as web:
        copy = town.home / "before.db"
        town.do("ledger", "backup", str(copy))
        late = town.do("token", "create", "late")["secret"]
        assert web.ask("GET", "/api/v1/apps", token=late)[0] == 200
        town.do("ledger", "restore", str(copy))
        assert web.ask("GET", "/api/v1/apps")[0] == 200
        assert web.ask("GET", "/api/v1/apps", token=late)[0] == 401
        assert web.ask("GET", "/healthz") == (200, "ok\n")
        wait_until(lambda: web.said.count("serve: watching") == 2, what="the watcher follows, too")


ENDINGS = {"token": ("token", "revoke", "listen", "--yes"), "role": ("user", "role", "mara", "viewer"),
           "session": ("user", "end", "mara"), "user": ("user", "remove", "mara", "--yes")}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_a_command_ends_is_over_in_the_process_that_serves(town: Cli, ending: str) -> None:
    for name in ("mara", "root"):
        town.run("user", "add", name, "--role", "admin")
    town.do("user", "role", "mara", "admin")
    with serving(town) as web, closing(HTTPConnection("127.0.0.1", web.port, timeout=5)) as stream:
        secret = town.do("token", "create", "listen", "--scope", "read")["secret"] if ending == "token" else ""
        cookie = "" if secret else signed_in(web, town.do("user", "link", "mara")["link"]["url"])
        left = "" if secret else town.do("user", "link", "mara")["link"]["url"]
        stream.request("GET", "/events", headers={"Authorization": f"Bearer {secret}"} if secret else {"Cookie": cookie})
        answer = stream.getresponse()
        assert answer.readline() == b"retry: 1000\n"
        town.do(*ENDINGS[ending])
        answer.read()  # raises TimeoutError while it is open and silent
        assert not left or signed_in(web, left) == "", "a link of before signs nobody in"


def signed_in(web: Serving, link: str) -> str:
    """Press the button behind a one-time link, and return the cookie of the session, nothing when there is none."""
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=20)) as browser:
        browser.request("GET", urlsplit(link).path)
        page = browser.getresponse()
        form = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
        assert form
        browser.request("POST", urlsplit(link).path, urlencode({"csrf_token": form[1]}), {
            "Cookie": str(page.getheader("Set-Cookie")).partition(";")[0], "Content-Type": "application/x-www-form-urlencoded"})
        answer = browser.getresponse()
        answer.read()
        return str(answer.getheader("Set-Cookie")).partition(";")[0] if answer.status == 302 else ""


def test_a_port_that_another_home_has_is_named_and_taken_once_it_is_free(town: Cli, engine_url: str) -> None:
    with serving(town) as first, home_of_a_person(engine_url) as other:
        file = other.home / "config/server.toml"
        file.write_text(re.sub(r"(?m)^listen = \d+$", f"listen = {first.port}", file.read_text()))
        second = Serving(other)
        try:
            wait_until(lambda: "no dashboard on" in second.said, what="it says so")
            assert f"(pid {first.process.pid}) is listening there" in second.said
            assert "watching" in second.said
            first.end()
            wait_until(lambda: "dashboard on http" in second.said, within=15, what="it is tried again")
            code, seconds = second.end()
            assert (code, seconds < 3) == (0, True), second.said
        finally:
            with suppress(ProcessLookupError):
                second.process.kill()


def test_a_haproxy_that_died_is_well_again_before_long(town: Cli) -> None:
    with serving(town) as web:
        assert web.ask("GET", "/healthz") == (200, "ok\n")
        [master] = town.masters()
        os.kill(master, signal.SIGKILL)
        seen = set[str]()

        def well_again() -> bool:
            seen.add(web.ask("GET", "/healthz")[1])
            return town.masters() not in ([], [master]) and web.ask("GET", "/healthz") == (200, "ok\n")

        wait_until(well_again, within=10, what="another HAProxy")
        assert seen <= {"ok\n", "proxy\n"}
