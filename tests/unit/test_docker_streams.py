"""Output of apps, however Docker and the socket cut it, and whatever it holds."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from deployctl.effects.docker.streams import CUT, frames, log_lines, visible, visible_lines

AT = b"2026-01-01T00:00:00.000000000Z"


def frame(data: bytes, *, stream: int = 1) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


def cut_up(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=60)), max_size=8), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent: list[tuple[int, bytes]], size: int) -> None:
    wire = b"".join(frame(data, stream=stream) for stream, data in sent)
    names = {1: "stdout", 2: "stderr"}
    assert list(frames(cut_up(wire, size))) == [(names[stream], data) for stream, data in sent]


def test_a_torn_frame_at_the_end_is_dropped() -> None:
    assert list(frames([frame(b"whole"), frame(b"torn")[:-1]])) == [("stdout", b"whole")]


def test_lines_carry_their_time_and_their_stream() -> None:
    [first, second] = log_lines([frame(AT + b" hello\n"), frame(AT + b" oops\n", stream=2)])
    assert (first.at, first.stream, first.text) == (AT.decode(), "stdout", "hello")
    assert (second.stream, second.text) == ("stderr", "oops")


def test_a_line_that_docker_cut_is_one_line_again() -> None:
    parts = [frame(AT + b" " + piece) for piece in (b"one ", b"and ", b"the same\n")]
    assert [line.text for line in log_lines(parts)] == ["one and the same"]


def test_lines_of_two_streams_do_not_mix_while_they_grow() -> None:
    parts = [frame(AT + b" out"), frame(AT + b" err\n", stream=2), frame(AT + b" put\n")]
    assert [(line.stream, line.text) for line in log_lines(parts)] == [("stderr", "err"), ("stdout", "output")]


def test_a_line_without_an_end_is_told_at_the_end() -> None:
    assert [line.text for line in log_lines([frame(AT + b" no end")])] == ["no end"]


def test_an_endless_line_is_kept_only_so_far() -> None:
    endless = (frame(AT + b" " + b"x" * 16384) for _ in range(1000))
    [line] = log_lines(endless)
    assert line.text == "x" * CUT


def test_what_steers_a_terminal_is_shown_instead() -> None:
    assert visible(b"\x1b[2J\x07\x00\rend") == r"\x1b[2J\x07\x00\x0dend"
    assert visible("\u202etxt.exe \u2066 \x9b31m".encode()) == r"\u202etxt.exe \u2066 \x9b31m"
    assert visible(b"\xff\xfe caf\xc3\xa9 \xf0\x9f\x9a\x80\ttab") == "\\xff\\xfe café 🚀\ttab"
    assert visible(b"windows\r") == "windows"


@given(st.binary(max_size=300))
def test_no_bytes_whatever_get_through_to_the_terminal(raw: bytes) -> None:
    shown = visible(raw)
    assert all(c == "\t" or (c.isprintable() or ord(c) > 0x9F) for c in shown)
    assert not set(shown) & set("\x1b\r\n\x00\x9b\u202e")


def test_several_lines_stay_several_lines() -> None:
    assert visible_lines(b"one\r\ntwo\x1b\n") == "one\ntwo\\x1b\n"
