"""A browser hands the dashboard's cookies to every app under the same name: HAProxy keeps either from the other."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha1

import pytest

from deployctl.domain.host.server import ServerSpec, WebSpec
from deployctl.domain.proxy.cookies import choice_cookie, session_cookie
from tests.proxies import SHOP
from tests.raw_app import Shop, opened_shop
from tests.support import free_port

ID = "0123456789abcdef"
OURS = session_cookie(ID, secure=False)
TLS = session_cookie(ID, secure=True)
THEME = choice_cookie(ID, "theme")
TOKEN = f"dctl_{'x' * 43}"


@pytest.fixture(scope="module")
def running() -> Iterator[Shop]:
    with opened_shop() as shop:
        yield shop


@pytest.fixture
def shop(running: Shop) -> Shop:
    running.app.status, running.app.headers = b"200 OK", []
    return running


# -- to the app -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("sent", "seen"), [
    (f"{OURS}=secret", None),
    (f"{OURS}=secret; a=1", "a=1"),
    (f"a=1; {OURS}=secret; b=2", "a=1; b=2"),
    (f"a=1; {OURS}=secret", "a=1"),
    (f"a=1;{OURS}=secret;b=2", "a=1;b=2"),
    (f"a=1;  {OURS} = secret ;  b=2", "a=1;  b=2"),
    (f"a=1;\t{OURS}\t=secret;\tb=2", "a=1;\tb=2"),
    (f"a=1;\r\n {OURS}=secret;\r\n b=2", "a=1;   b=2"),
    (f"{OURS}=", None),
    (f"{OURS}=1; {OURS}=2; a=1; {OURS}=3; {OURS}=4; {OURS}=5; {OURS}=6; {OURS}=7; b=2; {OURS}=8", "a=1; b=2"),
    (f"{TLS}=secret; a=1", "a=1"),
    (f"{THEME}=dark; theme=app; keys=app", "theme=app; keys=app"),
    (f'a="x; {OURS}=secret; b=y"', 'a="x; b=y"'),
    (f"deployctl_{'f' * 16}=secret; a=1", "a=1"),
    ("dctl_v=v1; a=1", "a=1"),
    (f"a=1, {OURS}=no", f"a=1, {OURS}=no"),
    (f"{OURS.upper()}=1; x{OURS}=2; {OURS}x=3; deployctl=4; deployctl_=5; a={OURS}=6; dctl_vx=7",
     f"{OURS.upper()}=1; x{OURS}=2; {OURS}x=3; deployctl=4; deployctl_=5; a={OURS}=6; dctl_vx=7"),
    (f'b="q;\xe9 ,=; ; c; =d;;{OURS}=secret', 'b="q;\xe9 ,=; ; c; =d;'),
    (f"a={'x' * 16000}; {OURS}=secret; b={'y' * 16000}", f"a={'x' * 16000}; b={'y' * 16000}"),
])  # fmt: skip
def test_an_app_never_gets_a_cookie_of_ours_and_every_other_to_the_byte(shop: Shop, sent: str, seen: str | None) -> None:
    assert shop.sent(sent) == ([] if seen is None else [seen.encode("latin-1")])


def test_each_of_several_lines_is_looked_at(shop: Shop) -> None:
    assert shop.sent("a=1", f"{OURS}=secret; b=2", f"{OURS}=secret", "c=3") == [b"a=1", b"b=2", b"c=3"]


def test_what_is_none_of_ours_is_not_touched_at_all(shop: Shop) -> None:
    shop.ask(b"COOKIE: a=1", b"X-One: 1", b"Cookie:", b"cookie:   b=2")
    lines = [line for line in shop.app.requests[-1].split(b"\r\n") if line.lower().startswith((b"cookie", b"x-one"))]
    assert lines == [b"cookie: a=1", b"x-one: 1", b"cookie: ", b"cookie: b=2"]


def test_a_web_socket_takes_none_along_either(shop: Shop) -> None:
    key = b"AAAAAAAAAAAAAAAAAAAAAA=="
    accepted = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest())  # RFC 6455
    shop.app.status = b"101 Switching Protocols"
    shop.app.headers = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accepted,
                        f"Set-Cookie: {OURS}=evil".encode(), b"Set-Cookie: a=1"]
    answer = shop.ask(f"Cookie: a=1; {OURS}=secret".encode(), b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
                      b"Sec-WebSocket-Key: " + key, ends=b"Upgrade")
    assert answer.startswith(b"HTTP/1.1 101")
    assert shop.app.cookies() == [b"a=1"]
    assert (OURS.encode() in answer, b"set-cookie: a=1" in answer) == (False, True)


def test_http_2_takes_none_along_either(shop: Shop) -> None:
    """Its clients send each cookie as a field of its own. Fields are written without compression."""
    def field(name: str, value: str) -> bytes:
        return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    block = b"".join(field(*one) for one in [
        (":method", "GET"), (":scheme", "http"), (":authority", "shop"), (":path", "/two"), ("cookie", "a=1"),
        ("cookie", f"{OURS}=secret"), ("cookie", "b=2")])
    before = len(shop.app.requests)
    with socket.create_connection(("127.0.0.1", shop.world.port(SHOP)), timeout=5) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
                     + len(block).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01" + block)
        while len(shop.app.requests) == before:
            assert sock.recv(65536), "HAProxy hung up"
    assert shop.app.cookies() == [b"a=1; b=2"]


def test_the_way_of_the_gate_and_of_a_version_that_was_asked_for_are_the_same(shop: Shop) -> None:
    shop.ask(f"Cookie: {OURS}=secret; dctl_v=v1; a=1".encode(), b"X-Deployctl-Version: v1")
    assert shop.app.cookies() == [b"a=1"]
    gate = shop.world.home.gate(shop.world.traffic()._files.token())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(gate))
        sock.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\nGET / HTTP/1.1\r\nHost: shop\r\nX-Deployctl-Gate: shop.1\r\n"
                     + f"Cookie: b=2; {OURS}=secret\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert shop.app.cookies() == [b"b=2"]


@pytest.mark.parametrize(("sent", "passes"), [
    (f"Bearer {TOKEN}", False), (f"bearer  {TOKEN}", False), ("Bearer of-the-app", True), ("Basic ZGN0bF8=", True),
    (f"Bearer {TOKEN}y", True), (f"Bearer \t{TOKEN}", False),
])  # fmt: skip
def test_a_token_of_ours_that_was_sent_to_the_wrong_port_is_dropped(shop: Shop, sent: str, *, passes: bool) -> None:
    shop.ask(f"Authorization: {sent}".encode())
    assert (b"authorization: " + sent.encode() in shop.app.requests[-1]) is passes
    assert passes or TOKEN.encode() not in shop.app.requests[-1]


# -- from the app ---------------------------------------------------------------------------------------------------
OTHERS = [
    b"a=1; Path=/; Expires=Thu, 01 Jan 2037 00:00:00 GMT; HttpOnly", b'b="q;\xe9"; Domain=.example.com', b"a=2", b"theme=dark",
    f"x{OURS}=1".encode(), f"c={OURS}=1; Path=/".encode(), b"deployctl=1", f"{OURS.upper()}=1".encode(), b"",
]  # fmt: skip


@pytest.mark.parametrize("line", [
    f"{OURS}=evil", f"{OURS}=evil; Path=/; Domain=localhost; SameSite=Lax", f"{OURS}=; Max-Age=0", f"{OURS} = evil", OURS,
    f"={OURS}=evil", f" = {OURS}=evil", f"\xa0{OURS}=evil", f"{OURS}\xa0=evil", f"{OURS};", f"{TLS}=evil; Secure; Path=/",
    f"{THEME}=dark", f"deployctl_{'e' * 16}=evil", "dctl_v=v2; Path=/",
])  # fmt: skip
@pytest.mark.parametrize("place", [0, 4, len(OTHERS)])
def test_an_app_never_sets_a_cookie_of_ours_and_every_other_to_the_byte(shop: Shop, line: str, place: int) -> None:
    bad = line.encode("latin-1")
    assert shop.given(*OTHERS[:place], bad, *OTHERS[place:], bad) == OTHERS


def test_answers_without_any_of_ours_are_not_touched(shop: Shop) -> None:
    assert shop.given(*OTHERS) == OTHERS


def test_as_many_lines_as_a_browser_keeps_cookies_come_through_beside_one_of_ours(shop: Shop) -> None:
    lines = [f"c{n}={n}; Path=/".encode() for n in range(49)]
    assert shop.given(*lines[:20], f"{OURS}=evil".encode(), *lines[20:]) == lines


def test_the_answer_still_names_its_version_and_is_counted(shop: Shop) -> None:
    before = shop.world.traffic().counters()[SHOP, 1].answers_2xx
    shop.app.headers = [f"Set-Cookie: {OURS}=evil".encode()]
    assert b"x-deployctl-version: v1" in shop.ask(f"Cookie: {OURS}=secret".encode()).lower()
    assert shop.world.traffic().counters()[SHOP, 1].answers_2xx == before + 1


# -- where there is no dashboard --------------------------------------------------------------------------------------
def test_without_a_dashboard_only_the_cookie_that_names_a_version_is_looked_for() -> None:
    spec = replace(ServerSpec(http=("127.0.0.1", free_port())), web=WebSpec(enabled=False))
    with opened_shop(spec) as shop:
        text = f"{OURS}=1; a=1"
        assert shop.sent(f"{text}; dctl_v=v1") == [text.encode()]
        assert shop.given(f"{OURS}=1".encode(), b"dctl_v=v2") == [f"{OURS}=1".encode()]
        assert "deployctl_" not in shop.world.home.config.read_text().partition("backend apps")[2].partition("  server ")[0]
