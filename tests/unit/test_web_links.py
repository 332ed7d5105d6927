"""A link is shown only where this browser can follow it."""

from __future__ import annotations

import pytest
from flask import Flask

from deployctl.dataclass import replace
from deployctl.usecases.results import AppView, InstanceView
from deployctl_web.pages.parts.template_filters import preview_url, public_url

ONE = InstanceView("v1", 1, "active", 20001, "172.30.0.2", "passing", 100, "c0", "blue", "sha256:" + "a" * 64)


def app_at(address: str | None, *hosts: str) -> AppView:
    return AppView("shop", address, 1, "healthy", ONE, None, (ONE,), None, hosts=hosts)


@pytest.mark.parametrize(("dashboard", "address", "expected"), [
    ("127.0.0.1:8900", "127.0.0.1:8000", "http://127.0.0.1:8000/"),
    ("deployctl.localhost:8900", "127.0.0.1:8000", "http://127.0.0.1:8000/"),
    ("deploy.example.com", "127.0.0.1:8000", None),
    ("deploy.example.com:8900", "0.0.0.0:8000", "http://deploy.example.com:8000/"),
    ("[::1]:8900", "[::]:8000", "http://[::1]:8000/"),
    ("10.0.0.5:8900", "10.0.0.6:8000", "http://10.0.0.6:8000/"),
    ("10.0.0.5:8900", None, None),
])
def test_the_public_address_is_that_which_this_browser_reaches(dashboard: str, address: str | None,
                                                               expected: str | None) -> None:
    with Flask("x").test_request_context("/", headers={"Host": dashboard}):
        assert public_url(app_at(address)) == expected


def test_an_app_that_is_routed_by_name_is_opened_by_its_name() -> None:
    with Flask("x").test_request_context("/", headers={"Host": "127.0.0.1:8900"}):
        assert public_url(app_at("shop.example.com", "shop.example.com")) == "http://shop.example.com/"
        assert public_url(replace(app_at("127.0.0.1:8000"), active=None)) is None


@pytest.mark.parametrize(("dashboard", "health", "shown"), [
    ("127.0.0.1:8900", "passing", True), ("localhost:8900", "failing", True), ("127.0.0.1:8900", "stopped", False),
    ("deploy.example.com", "passing", False)])
def test_a_version_is_previewed_only_from_the_server_itself_and_while_it_runs(dashboard: str, health: str, shown: bool) -> None:
    with Flask("x").test_request_context("/", headers={"Host": dashboard}):
        assert preview_url(replace(ONE, health=health)) == ("http://127.0.0.1:20001/" if shown else None)
