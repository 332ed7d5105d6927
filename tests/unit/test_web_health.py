"""/healthz: one word for a monitor, and not one more for a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.web_world import Site, site


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1") as made:
        yield made


def asked(here: Site, **headers: str) -> tuple[int, str]:
    answer = here.browser().get("/healthz", headers=headers)
    assert answer.mimetype == "text/plain"
    assert "Set-Cookie" not in answer.headers
    return answer.status_code, answer.text


def test_it_is_well_while_ledger_and_haproxy_live_whatever_docker_does(here: Site) -> None:
    assert asked(here) == (200, "ok\n")
    here.w.engine.away = "Docker is not responding"
    assert asked(here) == (200, "ok\n")
    assert here.browser().ask("HEAD", "/healthz").status_code == 200
    assert here.browser().ask("POST", "/healthz").status_code in {403, 405}


def test_a_dead_haproxy_is_named_by_one_word(here: Site) -> None:
    here.w.traffic.die()
    assert asked(here) == (503, "proxy\n")


def test_a_home_where_nothing_serves_needs_no_haproxy(tmp_path: Path) -> None:
    with site(tmp_path) as bare:
        bare.w.traffic.die()
        assert asked(bare) == (200, "ok\n")


def test_a_damaged_ledger_is_named_by_one_word_to_whoever_asks(here: Site) -> None:
    assert asked(here) == (200, "ok\n")
    damaged = here.w.home / "damaged"
    damaged.write_bytes(b"this is no ledger" * 1000)
    damaged.replace(here.w.home / "ledger.db")
    for headers in ({}, {"Authorization": "Bearer dctl_x"}, {"Cookie": "deployctl=x"}):
        assert asked(here, **headers) == (503, "ledger\n")


def test_under_a_foreign_name_it_says_nothing(here: Site) -> None:
    browser = here.browser()
    browser.host = "evil.example.com"
    assert browser.get("/healthz").status_code == 421
