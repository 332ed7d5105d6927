"""What many files here begin with: a dashboard or a command line over a home in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from deployctl.usecases.access import passwords
from tests.unit import cli_world, web_world


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[web_world.Site]:
    """The dashboard of a home: shop serves v2, v1 stands by; its revision is 2."""
    with web_world.site(tmp_path, "v1", "v2") as made:
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[cli_world.World]:
    """The command line of a home: shop serves v2, v1 stands by."""
    with cli_world.shop(tmp_path, "v1", "v2") as made:
        yield made


@pytest.fixture
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords are hashed as always, but in a millisecond."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords._nobodys.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", lambda: cheap)
    yield
    passwords._nobodys.cache_clear()
