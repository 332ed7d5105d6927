"""The API as a program and as a page's script use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import pytest
from werkzeug.test import TestResponse

from deployctl.domain.host.access import Role, given
from deployctl.usecases.access.tokens import create_token
from deployctl.verbs.table import VERBS
from tests.unit.web_world import HERE, Browser, Site

Json = dict[str, Any]
BASE = "/api/v1/"


class Program:
    """One token, as curl sends it."""

    def __init__(self, made: Site, name: str = "ci", role: Role = Role.ADMIN, *apps: str) -> None:
        self.made = made
        self.secret = create_token(name, given(role, apps), made.w.s).secret

    def ask(self, method: str, path: str, body: Any = None, *, data: bytes | str | None = None, key: str | None = None,
            at: int | str | None = None, wait: int | None = None, **headers: str) -> TestResponse:
        """Send it; `key` is the Idempotency-Key, `at` the If-Match, `wait` the seconds of Prefer."""
        told = {"Authorization": f"Bearer {self.secret}", **headers}
        told |= {} if key is None else {"Idempotency-Key": key}
        told |= {} if at is None else {"If-Match": f'"{at}"' if isinstance(at, int) else at}
        told |= {} if wait is None else {"Prefer": f"wait={wait}"}
        more: Json = {} if data is None else {"data": data, "content_type": headers.get("Content_Type", "application/json")}
        if body is not None:
            more["json"] = body
        return self.made.app.test_client().open(
            path if path.startswith("/") else BASE + path, method=method, headers=told, environ_overrides={"HTTP_HOST": HERE},
            **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.ask("POST", path, {} if body is None and "data" not in more else body, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.ask("DELETE", path, **more)


def script(browser: Browser, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    """Send it as the script of the page that this browser has open."""
    browser.get("/api/docs")
    told = {"X-CSRFToken": browser.field("csrf_token"), "Origin": f"http://{HERE}", "Sec-Fetch-Site": "same-origin", **headers}
    return browser.ask(method, BASE + path, json=body, headers=told)


def problem(answer: TestResponse, status: int, code: str) -> Json:
    """Return the problem, having looked whether it is one."""
    assert answer.mimetype == "application/problem+json", answer.text
    told = cast(Json, answer.get_json())
    assert (answer.status_code, told["code"], told["status"]) == (status, code, status), told
    assert {"type", "title", "detail", "remedy", "serving", "details"} <= told.keys()
    return told


def do_instead(monkeypatch: pytest.MonkeyPatch, verb: str, act: Callable[..., Any]) -> None:
    """Let that verb of the table do something else. It is called as its use case is: by name."""
    module, _, name = VERBS[verb].does.partition(":")
    monkeypatch.setattr(import_module(module), name, act)


@contextmanager
def slow(shop: Site, monkeypatch: pytest.MonkeyPatch, verb: str) -> Iterator[threading.Event]:
    """Let that verb begin and not end before the event is set; a request gives up waiting for it at once."""
    go, act = threading.Event(), VERBS[verb].act()

    def waiting(**asked: Any) -> Any:
        assert go.wait(20)
        return act(**asked)

    do_instead(monkeypatch, verb, waiting)
    shop.web_state.waits.glance = shop.web_state.waits.switch = 0.05
    try:
        yield go
    finally:
        go.set()
