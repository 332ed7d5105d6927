"""The OpenAPI document keeps its word: schemathesis makes requests of it, good and bad ones, and judges every answer.

The world is in memory, the HTTP is real, and the run is the same each time. DEPLOYCTL_LONG=1 tries many more.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES
from schemathesis.engine import events, from_schema
from werkzeug.serving import make_server

from deployctl.domain.host.access import Role, given
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user
from deployctl.usecases.change.upgrade import upgrade
from deployctl_web.api.endpoint import calls_of
from deployctl_web.api.headers import IF_MATCH
from deployctl_web.api.idempotency import KEY_PATTERN
from deployctl_web.api.openapi import describe
from tests.unit.web_world import HERE, Site, site
from tests.unit.world import SHOP, YES, runnable

DB = AppName("shop/db")
DOCUMENT = "/api/v1/openapi.json"
ADMIN = {"Authorization": "Bearer an-admin"}
EXAMPLES = 300 if os.environ.get("DEPLOYCTL_LONG") else 30
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "ignored_auth", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
# What a request that the document allows may be answered with: not understood (400) is never among it.
UNDERSTOOD = ["2xx", "401", "403", "404", "409", "412", "422", "423", "428", "429", "502", "503"]
# Nobody signs in here, and the document itself is left out.
NEVER_DONE = frozenset({"DELETE /api/v1/sessions/{session}", "GET /api/v1/openapi.json"})
# There is an operation only if a change took long here. Versions of a backing component follow each other: an undo asks.
SELDOM_DONE = frozenset({"GET /api/v1/operations/{operation}", "POST /api/v1/apps/{app}/components/{component}/undo"})


class Door:
    """The application as an admin's program reaches it: by our name, with a token that nobody can take away.

    A good key is a fresh one each time, and every second good revision is the one of now: else nearly every request
    would be refused for the same reason.
    """

    def __init__(self, made: Site) -> None:
        self.made, self.secret, self.number, self.answered = made, "", count(), Counter[tuple[str, int]]()
        made.web_state.changes.most = made.web_state.tries.most = sys.maxsize  # they have tests of their own

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        number = next(self.number)
        environ["HTTP_HOST"] = HERE
        if environ.get("HTTP_AUTHORIZATION") == ADMIN["Authorization"]:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {self._living()}"
        if re.fullmatch(KEY_PATTERN, environ.get("HTTP_IDEMPOTENCY_KEY", "")):
            environ["HTTP_IDEMPOTENCY_KEY"] = f"key {number}"
        if number % 2 and re.fullmatch(IF_MATCH, environ.get("HTTP_IF_MATCH", "")):
            app = self.made.w.ledger.find_app(DB if "/components/" in environ["PATH_INFO"] else SHOP)
            environ["HTTP_IF_MATCH"] = f'"{app.revision if app else 0}"'
        if number % 2 and environ["PATH_INFO"].endswith(("/rollback", "/undo")):
            self._free()
        return self.made.app(environ, start)

    def _free(self) -> None:
        """Release what was put on hold: else no rollback could go there any more."""
        for app in (SHOP, DB):
            for release in self.made.w.ledger.releases(app):
                self.made.w.ledger.set_hold(app, release.version, release.digest, None)

    def _living(self) -> str:
        if not any(one.name == "an-admin" and not one.revoked_at for one in self.made.w.ledger.tokens()):
            self.secret = create_token("an-admin", given(Role.ADMIN, []), self.made.w.s).secret
        return self.secret


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with built(tmp_path_factory.mktemp("home")) as made:
        yield made


@contextmanager
def built(home: Path) -> Iterator[Door]:
    with site(home) as made:
        for version in ("16", "v1", "v2", "v3"):
            made.w.engine.images.add(f"postgres:{version}", image=runnable(f"postgres:{version}"))
        made.w.edit(components={"db": {"kind": "backing", "image": "postgres:16", "port": 5432}})
        for version in ("v1", "v2", "v3"):
            made.w.upgraded(version)
            upgrade(DB, Version(version), made.w.s, options=YES)
        for name in ("mara", "jonas"):
            add_user(name, given(Role.DEPLOYER, ["shop"]), made.w.s)
        yield Door(made)


@contextmanager
def served(door: Door) -> Iterator[str]:
    """Yield the address at which the door is open."""
    server = make_server("127.0.0.1", 0, door, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def config() -> SchemathesisConfig:
    generation = {"deterministic": True, "max-examples": EXAMPLES, "database": "none", "with-security-parameters": False}
    checks: dict[str, Any] = {"enabled": False, **{name: {"enabled": True} for name in CHECKS}}
    checks["positive_data_acceptance"]["expected-statuses"] = UNDERSTOOD
    checks["negative_data_rejection"]["expected-statuses"] = [*NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES, "413"]
    return SchemathesisConfig.from_dict({
        "seed": 7, "headers": ADMIN, "generation": generation, "checks": checks, "phases": {"stateful": {"enabled": False}}})


def faults(door: Door, base: str) -> Iterator[str]:
    """Yield what schemathesis finds wrong."""
    schema = schemathesis.openapi.from_url(base + DOCUMENT, config=config(), headers=ADMIN)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for case, checks in event.recorder.checks.items():
                for one in checks:
                    if one.failure_info is not None:
                        yield told(event, case, one)
            for done in event.recorder.interactions.values():
                if done.response is not None and str(event.label).startswith(done.request.method):
                    door.answered[str(event.label), done.response.status_code] += 1
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            yield repr(event)


def told(event: events.ScenarioFinished, case: str, check: Any) -> str:
    failure, done = check.failure_info.failure, event.recorder.interactions[case]
    answer = done.response.content[:300] if done.response else None
    return (f"{event.label} {check.name}: {failure.title}: {failure.message}\n"
            f"{done.request.uri} {done.request.body!r} → {answer!r}")


def test_every_answer_is_as_the_document_says(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("werkzeug.serving.WSGIRequestHandler.log", lambda *_words: None)
    with served(door) as base:
        assert list(faults(door, base)) == []
    assert sum(door.answered.values()) > 1500
    done = {label for label, status in door.answered if status < 300}
    assert operations(describe_here(door)) - done - SELDOM_DONE == NEVER_DONE


def test_every_route_of_the_api_is_in_the_document_and_every_path_of_it_exists(door: Door) -> None:
    app = door.made.app
    routes = {f"{method} {rule.rule}".replace("<app:app>", "<app>").replace("<", "{").replace(">", "}")
              for rule in app.url_map.iter_rules()
              if rule.rule.startswith("/api/v1") for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    former = {route for route in routes if route.endswith("/remark")}  # accepted for one release, and not offered
    of_components = {route.replace("{app}", "{app}/components/{component}") for route in routes - former if "{app}" in route
                     and not route.endswith(("/start", "/refusals")) and "/secrets" not in route}
    assert operations(describe_here(door)) == routes - former | of_components
    assert len(routes - former) == len(calls_of(app))


def operations(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


def describe_here(door: Door) -> dict[str, Any]:
    with door.made.app.app_context():
        return describe(door.made.app)
