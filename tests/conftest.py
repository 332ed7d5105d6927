"""Fixtures that reach outside: an engine, a port, a home. Without an engine they skip, or fail where one is owed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import former
from deployctl import stdlib
from deployctl.execution import interrupts
from tests import homes, leaks, machine, support
from tests.leaks import _no_connection_is_left_open, _no_connection_of_the_module_is_left_open  # noqa: F401  fixtures

for _module in (sqlite3, stdlib.sqlite3):  # and its compiled half, which is what the product calls
    setattr(_module, "connect", leaks.connect)  # noqa: B010  of many overloads

OUTSIDE = {"integration": "integration", "e2e": "e2e", "web": "browser"}  # folder → mark


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test below integration/, e2e/ or web/ bears its mark without saying so."""
    for item in items:
        for folder, mark in OUTSIDE.items():
            if f"/tests/{folder}/" in item.path.as_posix():
                item.add_marker(mark)


@pytest.fixture(scope="session", autouse=True)
def _hears_signals() -> None:
    """Below `nohup` every command that a test starts would ignore SIGHUP, and SIGINT in a script's background."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, interrupts.stop)


@pytest.fixture(scope="session", autouse=True)
def _guarded_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    outside = any(item.get_closest_marker(mark) for item in request.session.items for mark in OUTSIDE.values())
    with machine.presence(guard=outside):
        yield


@pytest.fixture(scope="session")
def engine_url() -> str:
    """The address of an engine that answers."""
    url = support.engine_address()
    if why := support.why_no_engine(url):
        owed = os.environ.get("CI") == "true" or os.environ.get("DEPLOYCTL_REQUIRE_ENGINE")
        pytest.fail(why, pytrace=False) if owed else pytest.skip(why)
    return url


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return support.free_port()


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home with a pool and ports of its own; HAProxy, containers and routes of it end with the test."""
    with homes.temporary_home(support.engine_address()) as path:
        yield path


@pytest.fixture(scope="session")
def former_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 0.1.0, unpacked from this repository's history. Skips where the clone does not have it."""
    folder = tmp_path_factory.mktemp("former")
    if why := former.unpack(folder):
        pytest.skip(why)
    return folder
