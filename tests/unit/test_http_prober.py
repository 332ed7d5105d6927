"""The prober with sockets against servers that misbehave; every case ends in time, with a sentence."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from threading import Thread

import pytest

from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.effects.http.prober import SocketProber
from deployctl.ports import ProbeAnswer
from tests.contract.raw_server import Piece, http, raw_server

QUICK = Probe(path="/healthz", timeout=0.4)


def ask(
    *pieces: Piece, probe: Probe = QUICK, eager: bool = False, keep_open: bool = False
) -> tuple[ProbeAnswer, list[bytes]]:
    with raw_server(*pieces, eager=eager, keep_open=keep_open) as (server, port):
        return SocketProber().ask(probe, "127.0.0.1", port, host="shop"), server.requests


SAID: list[tuple[Sequence[Piece], str]] = [
    ([b""], "closed the connection without a response"),
    ([b"HTTP/1.1 200 OK\r\nX-Ha"], "closed the connection without a response"),
    ([b"SSH-2.0-OpenSSH_9.2\r\n"], "sent something that is not HTTP"),
    ([b"\x15\x03\x01\x00\x02\x02\x46\n"], "sent something that is not HTTP"),
    ([b"HTTP/2.0 200 OK\r\n\r\n"], "sent something that is not HTTP"),
    ([b"HTTP/1.1 2000 OK\r\n\r\n"], "sent something that is not HTTP"),
    ([b"x" * 200_000], "sent something that is not HTTP"),
    ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n"], "sent more than 100 headers"),
    ([5.0], "no response within 0.4 s"),
]


@pytest.mark.parametrize(("pieces", "sentence"), SAID)
def test_what_is_no_answer_is_told_in_a_sentence(pieces: Sequence[Piece], sentence: str) -> None:
    answer, _ = ask(*pieces)
    assert (answer.ok, answer.status, answer.sentence) == (False, None, sentence)


def test_a_slow_drip_does_not_extend_the_time_out() -> None:
    begun = time.monotonic()
    answer, _ = ask(b"HTTP/1.1 200 OK\r\n", *[piece for i in range(40) for piece in (0.1, f"X-{i}: y\r\n".encode())])
    assert (answer.ok, answer.sentence) == (False, "no response within 0.4 s")
    assert time.monotonic() - begun < 10
    assert answer.ms < 3000


def test_interim_answers_are_passed_over() -> None:
    answer, _ = ask(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n", http(204))
    assert answer.status == 204


def test_the_request_names_the_host_and_asks_to_close() -> None:
    _, [request] = ask(http(200))
    assert request.startswith(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n")
    assert b"\r\nConnection: close\r\n\r\n" in request


def test_the_probes_own_host_wins() -> None:
    _, [request] = ask(http(200), probe=Probe(host="shop.example.com"))
    assert b"\r\nHost: shop.example.com\r\n" in request


def test_a_redirect_is_told_with_its_aim_and_never_followed() -> None:
    probe = Probe(status=((200, 299),))
    answer, requests = ask(http(302, Location="https://shop.example.com/\x1b[31m"), probe=probe)
    assert answer.sentence == r"GET / was redirected (302) to https://shop.example.com/\x1b[31m"
    assert (answer.ok, answer.status) == (False, 302)
    assert answer.location == r"https://shop.example.com/\x1b[31m"
    assert len(requests) == 1


def test_a_redirect_may_be_accepted() -> None:
    answer, _ = ask(http(302, Location="/login"))
    assert (answer.ok, answer.location) == (True, "/login")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n6;x=y\r\n is ok\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "pieces", [[http(200, b"all is ok")], [b"HTTP/1.1 200 OK\r\n\r\nall", 0.05, b" is ok"], [CHUNKED]]
)
def test_a_text_is_looked_for_however_the_body_comes(pieces: Sequence[Piece]) -> None:
    assert ask(*pieces, probe=Probe(body="all is ok"))[0].ok
    answer, _ = ask(*pieces, probe=Probe(body="all is well"))
    assert (answer.ok, answer.status) == (False, 200)
    assert answer.sentence == "GET / gave 200 without the text 'all is well'"


def test_a_server_that_keeps_the_connection_open_answers_nevertheless() -> None:
    assert ask(http(200, b"all is ok"), probe=Probe(body="all is well"), keep_open=True)[0].status == 200


def test_an_endless_body_is_read_only_so_far() -> None:
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 64 * 2**10 + b"all is ok"
    assert not ask(flood, probe=Probe(body="all is ok"))[0].ok


def test_a_port_that_hangs_up_at_once_is_not_healthy_for_tcp() -> None:
    """As docker-proxy does when nobody listens in the container."""
    answer, _ = ask(probe=Probe(kind=ProbeKind.TCP), eager=True)
    assert not answer.ok
    assert "closed the connection immediately" in answer.sentence


def test_a_port_that_greets_is_healthy_for_tcp() -> None:
    assert ask(b"220 mail.example.com\r\n", probe=Probe(kind=ProbeKind.TCP), eager=True)[0].ok


@pytest.mark.parametrize("path", ["/x HTTP/1.1\r\nHost: h", "x", "", "/a b", "/\x00", "/é"])
def test_a_path_cannot_become_another_request(path: str) -> None:
    answer, requests = ask(http(200), probe=Probe(path=path))
    assert not answer.ok
    assert requests == []


@pytest.mark.parametrize("address", ["no.such.host.invalid", "999.1.1.1", "", "127.0.0.1\n"])
def test_an_address_that_is_none_is_an_answer_too(address: str) -> None:
    assert not SocketProber().ask(QUICK, address, 80, host="shop").ok


def test_a_bridge_that_is_not_there_is_named() -> None:
    with raw_server(http(200)) as (_, port):
        answer = SocketProber().ask(QUICK, "127.0.0.1", port, host="shop", bridge="no-such-bridge")
    assert (answer.ok, answer.sentence) == (False, "the bridge no-such-bridge does not exist")


def test_an_ipv6_address_is_asked_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        answer = SocketProber().ask(Probe(kind=ProbeKind.TCP), "::1", listener.getsockname()[1], host="shop")
    assert answer.ok


def test_a_reset_is_told_like_a_closed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_reset_next, args=[listener])
        thread.start()
        answer = SocketProber().ask(Probe(), "127.0.0.1", listener.getsockname()[1], host="shop")
        thread.join()
    assert answer.sentence == "closed the connection without a response"


def _reset_next(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.recv(1)
