"""What every guard promises; what changes routes of this host is in tests/integration/test_linux_guard.py."""

from __future__ import annotations

import os
import socket

import pytest

from deployctl.effects.linux.guard import LinuxGuard
from deployctl.errors import Invalid
from deployctl.ports import Guard
from deployctl.testing.fake_guard import FakeGuard


@pytest.fixture(params=[FakeGuard, LinuxGuard], ids=["fake", "linux"])
def guard(request: pytest.FixtureRequest) -> Guard:
    made: Guard = request.param()
    return made


@pytest.mark.parametrize("subnet", ["", "172.29.0.1/26", "::/64", "x"])
def test_what_is_no_subnet_is_refused(guard: Guard, subnet: str) -> None:
    with pytest.raises(Invalid):
        guard.ensure(subnet)


def test_taking_away_a_guard_that_is_not_there_is_fine(guard: Guard) -> None:
    guard.ensure_gone("172.29.255.192/26")


def test_a_subnet_that_nobody_guards_is_not_guarded(guard: Guard) -> None:
    assert not guard.guarded(["172.29.255.192/26"])


def test_a_port_is_taken_while_somebody_listens(guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if isinstance(guard, FakeGuard):
            guard.taken.add(("127.0.0.1", port))
        assert guard.port_taken("127.0.0.1", port)


def test_an_address_is_this_hosts_or_another_ones(guard: Guard) -> None:
    if isinstance(guard, FakeGuard):
        guard.elsewhere.add("192.0.2.1")
    assert all(map(guard.has_address, ("127.0.0.1", "0.0.0.0")))
    assert not guard.has_address("192.0.2.1")


def test_an_address_that_nobody_pinned_may_be_unpinned(guard: Guard) -> None:
    guard.unpin("dc-nowhere", "172.29.255.193")
    assert ("dc-nowhere", "172.29.255.193") not in guard.neighbours()
    assert guard.held("dc-nowhere") == set()


def test_nobody_listens_in_a_process_that_is_not_there(guard: Guard) -> None:
    assert guard.listening(2**22 + os.getpid()) == []
