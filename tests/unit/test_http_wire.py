"""Our small reader of HTTP answers says what Python's own says, and never reads past its deadline."""

from __future__ import annotations

import http.client
import socket
import time
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.effects.http.wire import AnswerUnwanted, Closed, NotHttp, Wire, read_body, read_head


def read(data: bytes, *, piece: int = 7) -> tuple[int, bytes]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = Thread(target=_send, args=[theirs, data, piece])
        thread.start()
        try:
            wire = Wire(ours, deadline=time.monotonic() + 20)
            head = read_head(wire)
            return head.status, b"".join(read_body(wire, head))
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()


def _send(sock: socket.socket, data: bytes, piece: int) -> None:
    try:
        for start in range(0, len(data), piece):
            sock.sendall(data[start : start + piece])
        sock.shutdown(socket.SHUT_WR)
    except OSError:  # the reader had enough
        return


def read_by_python(data: bytes) -> tuple[int, bytes]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(ours, method="GET")
        answer.begin()
        with answer:
            return answer.status, answer.read()


bodies = st.binary(max_size=300)


@given(st.sampled_from([200, 201, 302, 404, 503]), bodies, st.integers(1, 400))
def test_a_body_with_a_length_is_read_like_python_reads_it(status: int, body: bytes, piece: int) -> None:
    data = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    assert read(data, piece=piece) == read_by_python(data) == (status, body)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6), st.integers(1, 400))
def test_a_chunked_body_is_read_like_python_reads_it(chunks: list[bytes], piece: int) -> None:
    coded = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
    assert read(data, piece=piece) == read_by_python(data) == (200, b"".join(chunks))


@given(bodies)
def test_a_body_without_a_length_ends_with_the_connection(body: bytes) -> None:
    data = b"HTTP/1.0 200 OK\r\n\r\n" + body
    assert read(data) == read_by_python(data) == (200, body)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    assert read(f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n".encode()) == (status, b"")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_one_of_two_errors(data: bytes) -> None:
    try:
        read(b"HTTP/1.1 200 OK\r\n" + data)
        read(data)
    except (NotHttp, Closed):
        return


@pytest.mark.parametrize("length", ["-1", "many", "+5", "1_000", "9" * 30, ""])
def test_a_length_that_is_no_number_is_no_http(length: str) -> None:
    with pytest.raises(NotHttp):
        read(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello".encode())


@pytest.mark.parametrize("size", ["-1", "g", "0x5", "", "1" * 16])
def test_a_chunk_size_that_is_no_number_is_no_http(size: str) -> None:
    with pytest.raises(NotHttp):
        read(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nhello".encode())


def test_a_body_that_ends_early_is_told() -> None:
    with pytest.raises(Closed):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")


def test_silence_ends_at_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        read_head(Wire(ours, deadline=time.monotonic() + 0.1))


def test_a_reader_who_has_left_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours, deadline=None)
        asked = iter([False, False, True])
        wire.wait_for_ever(left=lambda: next(asked))
        theirs.sendall(b"before")
        assert wire.take(6) == b"before"
        with pytest.raises(AnswerUnwanted):
            wire.take(1)


def test_a_pause_is_too_long_also_for_a_reader_who_may_leave() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours, deadline=None)
        wire.wait_for_ever(quiet=0.05, left=bool)
        with pytest.raises(TimeoutError):
            wire.take(1)
