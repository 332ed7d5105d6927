"""The gate asks a candidate through HAProxy by a bind that no visitor reaches, and names why visitors would get nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from deployctl.domain.images.release import App, Probe, ProbeKind
from deployctl.domain.proxy.gate import GateAnswer, question_of
from deployctl.domain.proxy.rejections import Cause
from deployctl.effects.haproxy.config import text as config
from tests.contract.raw_server import Piece, http, raw_server
from tests.proxies import SHOP, Proxy, ask, backend, proxy

HTTP = Probe(host="shop.example.com", path="/healthz", timeout=10)
ANY = question_of(Probe(kind=ProbeKind.TCP, deadline=10), App(SHOP, "", "", "", ""))
FINE = http(200, b"fine")


@pytest.fixture(scope="module")
def world() -> Iterator[Proxy]:
    with proxy() as found:
        found.traffic().switch(SHOP, 1)
        yield found


@contextmanager
def candidate(world: Proxy, *pieces: Piece, eager: bool = False, keep_open: bool = False) -> Iterator[int]:
    """Route to release 9 of the shop before its health check, with such responses; yield its number."""
    before = world.ledger.table
    with raw_server(*pieces, eager=eager, keep_open=keep_open) as (_, port):
        world.ledger.add(backend(SHOP, 9, port, preview=False))
        world.traffic().sync()
        yield 9
        world.ledger.table = before
        world.traffic().sync()


def asked(world: Proxy, probe: Probe, *pieces: Piece, eager: bool = False, keep_open: bool = False) -> GateAnswer:
    with candidate(world, *pieces, eager=eager, keep_open=keep_open) as number:
        return world.traffic().ask(SHOP, number, probe)


def test_a_candidate_is_asked_as_a_visitor_would_whoever_serves(world: Proxy) -> None:
    answer = world.traffic().ask(SHOP, 2, HTTP)
    assert (answer.ok, answer.status, answer.message) == (True, 200, "GET /healthz gave 200")
    method, path, headers = world.instances["shop.2"].seen[-1]
    headers = {name.lower(): value for name, value in headers.items()}
    assert (method, path, headers["host"]) == ("GET", "/healthz", "shop.example.com")
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert not [name for name in headers if name.startswith("x-deployctl")], "an app never learns how it was named"
    assert world.ask()[1] == "shop.1"


@pytest.mark.parametrize(("head", "cause", "detail"), [
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nv2\n\r\n0\r\n\r\n", Cause.INVALID_ANSWER,
     "HAProxy stopped in the header Transfer-Encoding"),
    (b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", Cause.INVALID_ANSWER,
     "HAProxy stopped in the header Content-Length"),
    (b"".join(b"X-%d: 1\r\n" % n for n in range(110)) + b"\r\n", Cause.INVALID_ANSWER, "it has more than 100 headers"),
    (b"A b: 1\r\n\r\n", Cause.INVALID_ANSWER, "HAProxy stopped in the header A b"),
])  # fmt: skip
def test_an_answer_that_haproxy_refuses_is_named_whatever_the_probe_is(
    world: Proxy, head: bytes, cause: Cause, detail: str
) -> None:
    for probe in (HTTP, ANY):
        answer = asked(world, probe, b"HTTP/1.1 200 OK\r\n" + head)
        assert (answer.cause, answer.status, answer.detail) == (cause, 502, detail)


def test_an_app_that_speaks_something_else_is_named(world: Proxy) -> None:
    mail = asked(world, ANY, b"220 mail ESMTP\r\n", 1.0, eager=True)
    assert (mail.cause, mail.detail) == (Cause.NOT_HTTP, "it started with '220 mail ESMTP'")
    assert asked(world, ANY).cause is Cause.NO_ANSWER
    assert asked(world, replace(ANY, timeout=0.3), 1.0, keep_open=True).cause is Cause.TIMEOUT


def test_the_probes_own_rules_judge_what_the_app_wrote(world: Proxy) -> None:
    assert asked(world, HTTP, http(500)).cause is Cause.NOT_ACCEPTED
    assert asked(world, replace(HTTP, body="ready"), FINE).cause is Cause.NOT_ACCEPTED
    assert asked(world, replace(HTTP, body="fine"), FINE).ok


@pytest.mark.parametrize("status", [200, 302, 404, 500, 502, 503, 504])
def test_without_rules_any_answer_of_the_app_itself_will_do(world: Proxy, status: int) -> None:
    assert asked(world, ANY, http(status)).ok


@pytest.mark.parametrize("count", [90, 99])
def test_an_answer_with_as_many_headers_as_haproxy_takes_will_do(world: Proxy, count: int) -> None:
    headers = b"".join(b"X-%d: 1\r\n" % n for n in range(count))
    assert asked(world, ANY, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + headers + b"\r\n").ok


def test_a_body_that_breaks_off_is_none_and_one_without_an_end_is_fine(world: Proxy) -> None:
    cut = asked(world, ANY, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    assert (cut.cause, cut.detail) == (Cause.INVALID_ANSWER, "its body is incomplete")
    assert asked(world, ANY, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", 3.0).ok


def test_nothing_listens_where_the_release_should_be(world: Proxy) -> None:
    assert world.traffic().ask(SHOP, 77, HTTP).cause is Cause.UNREACHABLE


def test_no_visitor_reaches_a_candidate(world: Proxy) -> None:
    with candidate(world, FINE):
        for headers in ({"X-Deployctl-Gate": "shop.9"}, {"X-Deployctl-Version": "v9"}, {"Cookie": "dctl_v=v9"}):
            assert ask(world.port(SHOP), headers=headers)[:2] == (200, "shop.1")
            seen = {name.lower() for name in world.instances["shop.1"].seen[-1][2]}
            assert "x-deployctl-gate" not in seen


def test_what_the_gate_asks_is_no_visit(world: Proxy) -> None:
    def counted() -> dict[object, tuple[int, int]]:
        return {server: (found.requests, found.failed) for server, found in world.traffic().counters().items()}

    before = counted()
    assert world.traffic().ask(SHOP, 2, HTTP).ok
    assert not world.traffic().ask(SHOP, 77, HTTP).ok
    assert counted() == before


def test_no_visitor_learns_of_the_gate(world: Proxy) -> None:
    assert "x-deployctl-gate" not in ask(world.port(SHOP))[2]


def test_the_private_bind_is_for_its_owner_alone_and_there_is_one(world: Proxy) -> None:
    found = [*world.home.sockets.glob("gate.*")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in found] == [0o600]
    world.traffic().sync()
    assert [*world.home.sockets.glob("gate.*")] == found


def test_a_bind_that_somebody_deleted_comes_back(world: Proxy) -> None:
    before = config.token_of(world.home.config.read_text())
    for path in world.home.sockets.glob("gate.*"):
        path.unlink()
    assert world.traffic().ask(SHOP, 2, HTTP).ok
    assert config.token_of(world.home.config.read_text()) != before
    assert len([*world.home.sockets.glob("gate.*")]) == 1
    assert world.ask()[1] == "shop.1"
    assert world.traffic().drift() == []
