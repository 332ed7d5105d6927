"""What HAProxy's master says of a worker that is gone is no worker's answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.errors import ProxyUnavailable

GONE = ["Can't find the target PID matching the prefix '@1'.\n", "Can't connect to the target CLI!\n"]


@contextmanager
def answering(path: Path, answer: str) -> Iterator[list[str]]:
    """A socket that gives one connection that answer; what it was asked is in the list then."""
    asked: list[str] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096).decode())
                connection.sendall(answer.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(5)


@pytest.fixture
def home(tmp_path: Path) -> HaproxyHome:
    return HaproxyHome(tmp_path)


@pytest.mark.parametrize("answer", GONE)
def test_a_master_without_a_worker_is_no_worker(home: HaproxyHome, answer: str) -> None:
    with answering(home.master, answer) as asked, pytest.raises(ProxyUnavailable, match="no worker"):
        HaproxySockets(home).worker("show version")
    assert asked == ["@1 show version\n"]


def dead_socket(path: Path) -> None:
    """The file that a killed worker leaves: nobody listens behind it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
        gone.bind(str(path))


@pytest.mark.parametrize("leave", [dead_socket, lambda path: None], ids=["its socket is left", "no socket"])
def test_the_master_is_asked_for_a_worker_whose_socket_is_dead(home: HaproxyHome, leave: Callable[[Path], None]) -> None:
    leave(home.worker)
    with answering(home.master, "2.8.25\n"):
        assert HaproxySockets(home).worker("show version") == "2.8.25\n"


@pytest.mark.parametrize("answer", GONE)
def test_a_leaving_worker_that_has_just_ended_says_nothing(home: HaproxyHome, answer: str) -> None:
    with answering(home.master, answer) as asked:
        assert HaproxySockets(home).leaving(4711, "show sess") == ""
    assert asked == [wire.at_worker(4711, "show sess") + "\n"]
