"""A home that is moved to another server by the README's recipe: another engine, another network, none of its processes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import Cli, home_of_a_person, run_program, wait_until
from tests.faults.beside import needs_engine
from tests.faults.second_engine import SecondEngine, second_engine
from tests.images import ensure_images
from tests.recipes import Shell, recipe

VERSIONS = tuple(("web", version) for version in ("v1", "v2"))


@pytest.fixture
def shop(engine_url: str, images: None) -> Iterator[Cli]:
    """shop on the machine's engine: v2 is live and v1 its standby."""
    with home_of_a_person(engine_url) as found:
        found.serving("shop", "v1")
        found.do("upgrade", "shop", "v2")
        try:
            yield found
        finally:
            for place in (there(found), left(found)):
                shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def other() -> Iterator[SecondEngine]:
    with second_engine() as engine:
        ensure_images(*VERSIONS, base_url=engine.url)  # as `docker save` and `docker load` bring them
        yield engine


@needs_engine
def test_a_home_goes_on_at_another_server_with_history_and_standby(shop: Cli, other: SecondEngine, tmp_path: Path) -> None:
    copy, arrive = recipe("Move to another server.")
    place = there(shop)
    shell = Shell(tmp_path, shop.home, place)
    copied = shell.run(copy, environ=dict(os.environ))
    assert copied.returncode == 0, copied
    assert not (place / "state/haproxy").exists()
    leave(shop)
    with other.inside():
        arrived = shell.run(arrive, environ=dict(os.environ), at=place)
        assert arrived.returncode == 0, arrived
        back = run_program(place, "-o", "json", "rollback", "shop")
        assert (back.code, back.told["to"], back.told["revision"]) == (0, "v1", 3), back
        end_proxies(place)


def leave(shop: Cli) -> None:
    """Let it be as at another server: neither the former folder nor its processes are there."""
    end_proxies(shop.home)
    shop.home.rename(left(shop))


def there(shop: Cli) -> Path:
    return shop.home.with_name(f"{shop.home.name}-there")


def left(shop: Cli) -> Path:
    return shop.home.with_name(f"{shop.home.name}-left")


def end_proxies(home: Path) -> None:
    found = Cli(home, None)  # type: ignore[arg-type]  # asks no engine
    for pid in found.masters():
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not found.proxies(), what="HAProxy's end")
