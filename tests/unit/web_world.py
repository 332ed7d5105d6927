"""A home in memory with the dashboard over it, asked as a browser and as a program ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from deployctl.domain.host.access import Role, given
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ports.metrics import ContainerNow, Now
from deployctl.usecases.access.users import add_user, make_link
from deployctl_web.address import WebAddress
from deployctl_web.app import create_app
from deployctl_web.state import build_state
from deployctl_web.waits import Waits
from tests.unit.world import World, world

HERE = "127.0.0.1:8900"
PLACE = WebAddress(("127.0.0.1", 8900), key=b"k" * 32, home_id="0123456789abcdef")


class CompiledTemplates(BytecodeCache):
    """Templates that one site has compiled, for the sites after it: that is a third of what a site costs. One that was edited
    is compiled again."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


class SharedRule(Rule):
    """A route whose builder another site has compiled already: all sites have the same routes, and to compile them takes
    another third."""

    _builders: ClassVar[dict[object, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        kinds = frozenset((name, type(converter)) for name, converter in self._converters.items())
        key = self.rule, append_unknown, tuple(self._trace), repr(self.defaults), kinds
        if key not in self._builders:
            self._builders[key] = super()._compile_builder(append_unknown)
        return self._builders[key]


COMPILED = CompiledTemplates()
Flask.url_rule_class = SharedRule


class StillMeter:
    """A meter that shows what a test sets."""

    def __init__(self) -> None:
        self.shown: dict[AppName, dict[int, Now]] = {}
        self.used: dict[AppName, dict[InstanceId, ContainerNow]] = {}
        self.sizes: dict[AppName, dict[str, int]] = {}
        self.counted: dict[tuple[AppName, int], Counters] = {}

    @property
    def bytes(self) -> int:
        return 0

    def latest(self, app: AppName) -> dict[int, Now]:
        return self.shown.get(app, {})

    def containers(self, app: AppName) -> dict[InstanceId, ContainerNow]:
        return self.used.get(app, {})

    def volumes(self, app: AppName) -> dict[str, int]:
        return self.sizes.get(app, {})

    def totals(self) -> dict[tuple[AppName, int], Counters]:
        return self.counted


class Browser:
    """One person's browser: it keeps cookies and fills in the token of the last page it saw."""

    def __init__(self, client: FlaskClient, host: str = HERE, address: str = "127.0.0.1") -> None:
        self.client, self.host, self.address, self.page = client, host, address, ""

    @property
    def session_name(self) -> str:
        """Return the name of the cookie that signs it in."""
        return str(self.client.application.config["SESSION_COOKIE_NAME"])

    @property
    def environ(self) -> dict[str, str]:
        return {"HTTP_HOST": self.host, "REMOTE_ADDR": self.address}

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._seen(self.client.get(path, environ_overrides=self.environ, **more))

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """Send any request; nothing is filled in."""
        return self._seen(self.client.open(path, method=method, environ_overrides=self.environ, **more))

    def post(self, path: str, **form: str) -> TestResponse:
        """Send the form with the hidden fields of the last page, unless others are given."""
        fields = {name: self.field(name) for name in ("csrf_token", "revision") if self.field(name)}
        return self.send(path, {**fields, **form})

    def send(self, path: str, form: dict[str, str], **headers: str) -> TestResponse:
        """Send just that."""
        return self.ask("POST", path, data=form, headers=headers)

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        return found[1] if found else ""

    def _seen(self, answer: TestResponse) -> TestResponse:
        if answer.mimetype == "text/html" and answer.status_code == 200:
            self.page = answer.text
        return answer


class Site:
    """`place` is its configured address; each browser comes from an address of its own."""

    def __init__(self, w: World, place: WebAddress = PLACE, waits: Waits | None = None) -> None:
        self.w, self.meter, self.browsers = w, StillMeter(), 0
        self.web_state = build_state(place, lambda: w.services(ledger=w.open_ledger()), self.meter, SystemClock(),
                               waits=waits)
        self.app = create_app(self.web_state)
        self.app.jinja_env.bytecode_cache = COMPILED

    def browser(self) -> Browser:
        self.browsers += 1
        return Browser(self.app.test_client(), address=f"127.0.{self.browsers // 250}.{self.browsers % 250 + 1}")

    def signed_in(self, name: str, role: Role = Role.ADMIN, *apps: str) -> Browser:
        """Return the browser of somebody with that role, signed in by a link."""
        if self.w.ledger.find_user(name) is None:
            add_user(name, given(role, apps), self.w.s)
        browser, link = self.browser(), make_link(name, self.w.s)
        browser.get(f"/start/{link}")
        assert browser.post(f"/start/{link}").status_code == 302
        return browser


@contextmanager
def site(home: Path, *versions: str, place: WebAddress = PLACE, waits: Waits | None = None) -> Iterator[Site]:
    with world(home) as w:
        made = Site(w.upgraded(*versions), place, waits)
        try:
            yield made
        finally:
            made.web_state.close()
