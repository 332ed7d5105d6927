"""`doctor` tells where a browser would carry the dashboard's cookies to apps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role, given
from deployctl.domain.host.server import ServerSpec, WebSpec
from deployctl.domain.inputs.names import AppName
from deployctl.usecases.access.users import add_user
from deployctl.usecases.setup.doctor_dashboard import dashboard, sharing
from deployctl_web.address import WebAddress
from tests.unit.world import V1, world

SHOP = AppName("shop")


@pytest.mark.parametrize(("web", "address", "hosts", "shared"), [
    (WebSpec(), "127.0.0.1", (), True),
    (WebSpec(), "0.0.0.0", (), True),
    (WebSpec(), "10.0.0.5", (), True),
    (WebSpec(), None, ("shop.example.com",), True),
    (WebSpec(listen=("10.0.0.4", 8900)), "10.0.0.5", (), False),
    (WebSpec(listen=("10.0.0.4", 8900)), None, ("shop.example.com",), False),
    (WebSpec(url="http://localhost:8900"), "127.0.0.1", (), True),
    (WebSpec(url="http://deployctl.localhost:8900"), "127.0.0.1", (), False),
    (WebSpec(url="http://localhost:8900"), None, ("shop.example.com",), True),
    (WebSpec(url="http://deployctl.localhost:8900"), "0.0.0.0", (), False),
    (WebSpec(url="http://box.example.com:8900"), "0.0.0.0", (), True),
    (WebSpec(url="http://box.example.com"), None, ("box.example.com",), True),
    (WebSpec(url="https://box.example.com"), "0.0.0.0", (), False),
    (WebSpec(url="https://box.example.com"), None, ("shop.example.com", "box.example.com"), True),
])  # fmt: skip
def test_an_app_under_the_dashboards_own_name_is_found(
    web: WebSpec, address: str | None, hosts: tuple[str, ...], *, shared: bool
) -> None:
    assert sharing(web, {SHOP: (address, 8000)} if address else {}, {SHOP: hosts}) == [SHOP] * shared


def test_it_is_told_once_somebody_may_sign_in_and_not_without_a_dashboard(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded(V1)
        assert [*dashboard(w.s)] == []
        add_user("mara", given(Role.ADMIN, []), w.s)
        [found] = dashboard(w.s)
        assert (found.ok, found.fatal, found.code) == (False, False, "shared_host_name")
        assert "with shop:" in found.message
        assert "a version's own port on 127.0.0.1" in found.message
        assert found.fix == 'url = "http://deployctl.localhost:8900" in [web] of config/server.toml'
        assert [*dashboard(replace(w.s, spec=ServerSpec(web=WebSpec(enabled=False))))] == []


def test_what_it_says_to_write_is_answered_and_shares_nothing() -> None:
    web = WebSpec(url="http://deployctl.localhost:8900")
    assert "deployctl.localhost:8900" in WebAddress(web.listen, web.url).hosts
    assert sharing(web, {SHOP: ("127.0.0.1", 8000)}, {SHOP: ("shop.example.com",)}) == []
