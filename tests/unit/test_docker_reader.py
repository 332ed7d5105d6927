"""Reads from an engine that is dead, deaf or confused: each ends soon, in one of our errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.docker.client import DockerClient
from deployctl.effects.docker.engine import DockerEngine
from deployctl.effects.docker.errors import EngineSilent
from deployctl.effects.docker.reader import SocketReader, quoted, with_query
from deployctl.errors import EngineRefused, EngineUnavailable
from deployctl.ports import Engine
from tests.contract.raw_server import Piece, RawServer, http, raw_server

EMPTY = http(200, b"[]")


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("s") / "d.sock")


@contextmanager
def engine_that(path: str, *pieces: Piece) -> Iterator[tuple[DockerEngine, RawServer]]:
    with raw_server(*pieces, path=path) as (server, _):
        yield DockerEngine("/srv", ServerSpec(engine_url=f"unix://{path}", engine_timeout=0.3), {}, read_timeout=0.3), server


HOT: dict[str, Callable[[Engine], object]] = {
    "info": lambda engine: engine.info(),
    "find_image": lambda engine: engine.find_image("shop:v1"),
    "networks": lambda engine: engine.networks(),
    "find_container": lambda engine: engine.find_container("shop"),
    "containers": lambda engine: engine.containers(),
}


@pytest.mark.parametrize("read", HOT)
def test_an_engine_that_hangs_is_given_up_after_the_time_that_was_given(path: str, read: str) -> None:
    with engine_that(path, 3.0) as (engine, _):
        begun = time.monotonic()
        with pytest.raises(EngineSilent, match="no response in time"):
            HOT[read](engine)
        assert time.monotonic() - begun < 2.5


def test_an_engine_that_answers_drop_by_drop_is_given_up_too(path: str) -> None:
    drops: list[Piece] = [piece for byte in EMPTY for piece in (0.05, bytes([byte]))]
    with engine_that(path, *drops) as (engine, _), pytest.raises(EngineSilent):
        engine.containers()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"hello\n", http(200, b"{")])
def test_an_engine_that_answers_nonsense_is_unavailable(path: str, answer: bytes) -> None:
    with engine_that(path, answer) as (engine, _), pytest.raises(EngineUnavailable):
        engine.containers()


def test_a_dead_socket_is_told_at_once(path: str) -> None:
    with raw_server(path=path):
        pass  # its file stays, nobody listens
    engine = DockerEngine("/srv", ServerSpec(engine_url=f"unix://{path}"), {})
    with pytest.raises(EngineUnavailable, match="connection refused"):
        engine.containers()


def test_no_socket_at_all_is_told_at_once(path: str) -> None:
    engine = DockerEngine("/srv", ServerSpec(), {"DOCKER_HOST": f"unix://{path}"})
    with pytest.raises(EngineUnavailable, match="no such socket"):
        engine.containers()


def test_a_refusal_of_the_engine_is_told_in_its_words(path: str) -> None:
    refusal = http(500, json.dumps({"message": "something broke"}).encode())
    with engine_that(path, refusal) as (engine, _), pytest.raises(EngineRefused, match="something broke"):
        engine.networks()


def test_what_is_not_there_is_none(path: str) -> None:
    absent = http(404, json.dumps({"message": "No such container: shop"}).encode())
    with engine_that(path, absent) as (engine, _):
        assert engine.find_container("shop") is None


def test_only_containers_of_ours_are_asked_for(path: str) -> None:
    with engine_that(path, EMPTY) as (engine, server):
        assert engine.containers() == []
        assert server.requests[0].startswith(
            b"GET /containers/json?all=1&filters=%7B%22label%22:%20%5B%22deployctl.managed%3D1%22%5D%7D HTTP/1.1\r\n"
        )


def test_nothing_in_a_value_can_end_the_request() -> None:
    assert quoted("a b?c#d%e\r\nf&g=é") == "a%20b%3Fc%23d%25e%0D%0Af%26g%3D%C3%A9"
    assert with_query("/x", {"a": "1", "b": ["c&d"]}) == "/x?a=1&b=%5B%22c%26d%22%5D"


def test_a_stream_is_read_beyond_the_time_for_its_beginning(path: str) -> None:
    slow = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(slow, 0.5, b"3\r\nall\r\n", 0.5, b"0\r\n\r\n", path=path):
        assert list(SocketReader(path).stream("/x", timeout=0.3)) == [b"all"]


# -- changes are asked again while the engine is away for a moment ----------------------------------------------------
def client(path: str, pauses: list[float]) -> DockerClient:
    spec = ServerSpec(engine_url=f"unix://{path}", engine_timeout=0.3)
    return DockerClient(spec, {}, sleep=pauses.append)


def test_a_change_is_asked_four_times_and_then_given_up(path: str) -> None:
    pauses: list[float] = []
    with pytest.raises(EngineUnavailable):
        client(path, pauses).change("start shop", lambda api: None)
    assert len(pauses) == 3
    assert all(0 < pause <= 2.2 for pause in pauses)


def test_a_change_goes_on_when_the_engine_is_back(path: str) -> None:
    version = http(200, json.dumps({"ApiVersion": "1.41"}).encode())
    with raw_server(version, path=path), closing_client(client(path, [])) as docker:
        tries: list[int] = []

        def act(api: object) -> str:
            tries.append(1)
            if len(tries) < 3:
                raise EngineUnavailable("away")
            return "done"

        assert docker.change("start shop", act) == "done"
        assert len(tries) == 3


def test_a_change_is_not_asked_again_when_the_engine_hangs(path: str) -> None:
    pauses: list[float] = []
    with raw_server(1.0, path=path), pytest.raises(EngineSilent):
        client(path, pauses).change("start shop", lambda api: None)
    assert pauses == []


@contextmanager
def closing_client(docker: DockerClient) -> Iterator[DockerClient]:
    try:
        yield docker
    finally:
        docker.close()


def test_a_path_that_is_too_long_for_a_socket_is_an_error_of_ours(tmp_path: Path) -> None:
    engine = DockerEngine("/srv", ServerSpec(engine_url=f"unix://{tmp_path}/{'x' * 120}"), {})
    with pytest.raises(EngineUnavailable):
        engine.containers()
