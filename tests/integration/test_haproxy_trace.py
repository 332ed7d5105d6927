"""What HAProxy refused or answered itself leaves a trace with its reason; what an app answered leaves none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from deployctl.domain.images.release import Probe
from deployctl.domain.proxy.rejections import Cause, Rejection
from deployctl.effects.haproxy.trace import MAX_KEPT_LINES
from tests.contract.raw_server import raw_server
from tests.proxies import BLOG, SHOP, Proxy, ask, backend, end, proxy, wait_for
from tests.support import free_port


@pytest.fixture
def world() -> Iterator[Proxy]:
    with proxy() as found:
        found.ledger.table = replace(found.ledger.table, hosts={"shop.example.com": SHOP})
        found.traffic().switch(SHOP, 1)
        yield found


def send(port: int, data: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as sock:
        sock.sendall(data)
        return sock.recv(65536)


def request(path: str = "/", *, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n{more}Connection: close\r\n\r\n".encode()


def refusals(world: Proxy, count: int = 1) -> list[Rejection]:
    """Return the trace once it has that many lines: HAProxy writes one when the request has ended."""
    wait_for(lambda: len(world.traffic().refusals()) >= count, seconds=5, fail=False)
    return world.traffic().refusals()


def test_what_the_app_answered_leaves_no_trace(world: Proxy) -> None:
    for status in (200, 302, 404, 500, 503):
        assert ask(world.port(SHOP), f"/status/{status}")[0] == status
    ask(world.port(BLOG))  # the blog has no live version: the line after those that must not come
    assert [one.app for one in refusals(world)] == [BLOG]


@pytest.mark.parametrize(("data", "detail"), [
    (request("/küche?key=secret"), r"HAProxy stopped at byte 6 of “GET /k\xC3\xBCche”"),
    (request("/?q=kü&key=secret"), "HAProxy stopped at byte 9 in the query of “GET /”"),
    (request(more=f"Cookie: a={'x' * 45000}\r\n"), "its headers exceed HAProxy's buffer"),
    (request(more="".join(f"X-{n}: 1\r\n" for n in range(110))), "it has more than 100 headers"),
    (request(more="Secret Header: secret\r\n"), "HAProxy stopped in the header Secret Header"),
])  # fmt: skip
def test_a_request_that_is_refused_is_told_with_where_haproxy_stopped_and_no_value(
    world: Proxy, data: bytes, detail: str
) -> None:
    status = int(send(world.port(SHOP), data).split()[1])
    assert status in {400, 431}, "HAProxy 3.2 tells a head that is too long apart"
    [one] = refusals(world)
    assert (one.app, one.status, one.cause, one.detail, one.gate) == (SHOP, status, Cause.BAD_REQUEST, detail, False)
    assert one.client.startswith("127.0.0.1:")
    assert "secret" not in one.sentence


def test_raw_characters_stay_refused_and_cookies_of_32_kilobytes_pass(world: Proxy) -> None:
    assert b" 400 " in send(world.port(SHOP), request("/küche"))
    assert b" 200 " in send(world.port(SHOP), request(more=f"Cookie: a={'x' * 32766}\r\n"))


def test_each_answer_of_haproxys_own_has_its_cause(world: Proxy) -> None:
    with raw_server() as (_, silent), raw_server(b"220 mail\r\n", 0.5, eager=True) as (_, mail):
        world.ledger.add(backend(SHOP, 3, silent), backend(SHOP, 4, mail), backend(SHOP, 5, free_port()))
        world.traffic().sync()
        for number in (3, 4, 5):
            world.traffic().switch(SHOP, number)
            assert ask(world.port(SHOP), "/buy?card=secret")[0] in {502, 503}
    found = refusals(world, 3)
    assert [(one.cause, one.status, one.release, one.method, one.path) for one in found] == [
        (Cause.NO_ANSWER, 502, 3, "GET", "/buy"), (Cause.INVALID_ANSWER, 502, 4, "GET", "/buy"),
        (Cause.UNREACHABLE, 503, 5, "GET", "/buy")]


def test_an_answer_of_a_release_that_is_gone_can_be_read_of_and_harms_nobody(world: Proxy) -> None:
    """HAProxy dies of `show errors` when the server of a refused answer was deleted."""
    before, master = world.ledger.table, world.traffic().pid()
    for _ in range(5):
        with raw_server(b"220 mail\r\n", 0.5, eager=True) as (_, mail):
            world.ledger.add(backend(SHOP, 4, mail))
            world.traffic().sync()
            assert world.traffic().ask(SHOP, 4, Probe(timeout=10)).cause is Cause.NOT_HTTP
        world.ledger.table = before
        world.traffic().sync()
        refusals(world)
    assert world.traffic().pid() == master
    assert ask(world.port(SHOP))[0] == 200


def test_nobodys_host_is_told_with_its_name_and_nothing_of_it_is_read_as_a_field(world: Proxy) -> None:
    send(world.spec.http[1], b"GET /a HTTP/1.1\r\nHost: other.example.com 502 PH\r\nConnection: close\r\n\r\n")
    send(world.spec.http[1], b"GET /b HTTP/1.1\r\nHost: missing.example.com\r\nConnection: close\r\n\r\n")
    told = [(one.app, one.status, one.cause, one.host, one.path) for one in refusals(world, 2)]
    assert told[-1] == (None, 404, Cause.UNKNOWN_HOST, "missing.example.com", "/b")
    assert all(status in {400, 404} and app is None for app, status, *_ in told)


def test_the_gates_own_requests_are_told_as_such(world: Proxy) -> None:
    world.traffic().ask(SHOP, 77, Probe(timeout=10))
    [one] = refusals(world)
    assert (one.app, one.release, one.cause, one.gate) == (SHOP, 77, Cause.UNREACHABLE, True)


def test_a_reload_and_an_end_lose_nothing_of_it_and_tell_nothing_twice(world: Proxy) -> None:
    ask(world.port(BLOG), "/before")
    refusals(world)
    world.ledger.listen(BLOG, free_port())
    world.traffic().sync()  # another address: a reload, and with it another worker with an empty ring
    ask(world.port(BLOG), "/after")
    assert [one.path for one in refusals(world, 2)] == ["/before", "/after"]
    world.traffic().stop()
    world.traffic().ensure_up()
    assert [one.path for one in world.traffic().refusals()] == ["/before", "/after"]


def test_a_refused_reload_tells_nothing_twice(world: Proxy) -> None:
    ask(world.port(BLOG), "/before")
    refusals(world)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        world.ledger.listen(BLOG, taken.getsockname()[1])
        with pytest.raises(Exception, match="HAProxy rejected"):
            world.traffic().sync()
    assert [one.path for one in world.traffic().refusals()] == ["/before"]


def test_what_is_kept_is_bounded_and_for_its_owner_alone(world: Proxy) -> None:
    ask(world.port(BLOG), "/last")
    refusals(world)
    line = "1796029030843 127.0.0.1:{n} 1.{n} shop - shop - 503 LR GET /{n}\n"
    world.home.refused.write_text("".join(line.format(n=n) for n in range(1, 2 * MAX_KEPT_LINES)) + "not one of ours\n")
    world.traffic().stop()
    kept = world.home.refused.read_text().splitlines()
    assert len(kept) == MAX_KEPT_LINES
    assert kept[-1].endswith("GET /last")
    assert world.home.refused.stat().st_mode & 0o077 == 0


def test_what_was_saved_can_be_read_while_haproxy_is_dead(world: Proxy) -> None:
    ask(world.port(BLOG), "/before")
    refusals(world)
    world.traffic().stop()
    assert [one.path for one in world.traffic().refusals()] == ["/before"]
    end(world.home)
