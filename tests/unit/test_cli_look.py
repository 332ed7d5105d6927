"""What a stream can show decides how text is written; nothing that people or apps wrote reaches it raw."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.cli.rendering.times import ago, iso, span, when
from deployctl.cli.terminal import TerminalStyle, style_of
from tests.unit.cli_world import Screen

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TTY = Screen(tty=True)
WATCHED = TerminalStyle(relative=True, now=NOON)


# -- colour, redraw, width ----------------------------------------------------------------------------------------
def test_a_terminal_has_colour_width_and_redraw() -> None:
    look = style_of(TTY, {"COLUMNS": "72", "TERM": "xterm"})
    assert (look.width, look.colour, look.live, look.relative) == (72, True, True, True)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"CI": "true"}])
def test_a_dull_terminal_gets_no_colour_no_redraw_and_no_cut_lines(environ: dict[str, str]) -> None:
    look = style_of(TTY, {"COLUMNS": "72", **environ})
    assert (look.width, look.colour, look.live) == (None, False, False)


def test_no_color_takes_colour_and_redraw_but_leaves_the_width() -> None:
    for look in (style_of(TTY, {"NO_COLOR": "1", "COLUMNS": "72"}), style_of(TTY, {"COLUMNS": "72"}, no_color=True)):
        assert (look.width, look.colour, look.live) == (72, False, False)


def test_a_pipe_gets_plain_text_unless_colour_is_forced() -> None:
    pipe = Screen()
    assert not style_of(pipe, {"TERM": "xterm"}).colour
    assert style_of(pipe, {"FORCE_COLOR": "1"}).colour
    assert not style_of(pipe, {"FORCE_COLOR": "0"}).colour
    assert not style_of(pipe, {"FORCE_COLOR": "1", "NO_COLOR": "1"}).colour
    assert style_of(pipe, {"FORCE_COLOR": "1", "COLUMNS": "60"}).width is None


def test_colour_never_says_what_the_text_does_not() -> None:
    lines = ["APP   LIVE  COLOUR", "shop  v2    green   ! degraded  x", "✗ no", "✓ shop is back on v1 (blue). Done."]
    painted = TerminalStyle(colour=True).finish(lines)
    bare = "".join(part.partition("m")[2] if n else part for n, part in enumerate(painted.split("\x1b[")))
    assert painted.count("\x1b[") == 10
    assert bare == TerminalStyle().finish(lines)


# -- text -----------------------------------------------------------------------------------------------------------
def test_signs_are_words_where_the_stream_is_not_utf8() -> None:
    look = style_of(Screen(encoding="ANSI_X3.4-1968"), {})
    assert [look.good, look.bad, look.warn] == ["ok", "FAIL", "warn"]
    assert look.say("v1 → v2 … “100 %” – über") == 'v1 -> v2 ... "100 %" - \\xfcber'


@given(st.text())
def test_whatever_is_said_in_ascii_is_ascii(text: str) -> None:
    assert TerminalStyle(utf8=False).say(text).isascii()


@given(st.text())
def test_no_control_character_is_ever_said(text: str) -> None:
    said = TerminalStyle().say(text)
    assert said.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in said)
    said.encode()


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert TerminalStyle().say("red \x1b[31m\u202e\r\udcff") == "red \\x1b[31m\\u202e\\r\\udcff"


# -- times ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("at", "text"), [
    ("2026-11-23T11:59:58Z", "just now"), ("2026-11-23T11:59:20.123Z", "39 s ago"),
    ("2026-11-23T11:48:00Z", "12 min ago"),
    ("2026-11-23T06:59:00Z", "5 h ago"), ("2026-11-22T10:00:00Z", "1 day ago"), ("2026-11-20T10:00:00Z", "3 days ago"),
    ("2026-11-23T12:00:05Z", "just now"), ("soon", "soon"),
])  # fmt: skip
def test_ago_counts_from_now(at: str, text: str) -> None:
    assert ago(at, WATCHED) == text


@pytest.mark.parametrize(("at", "text"), [
    ("2026-11-23T11:48:00Z", "12 min ago"), ("2026-11-23T10:05:00Z", "10:05"),
    ("2026-11-22T17:05:00Z", "yesterday 17:05"),
    ("2026-11-21T19:52:00+00:00", "21 Nov 19:52"), ("2025-03-02T19:52:00Z", "2 Mar 2025"),
])  # fmt: skip
def test_when_reads_like_a_diary(at: str, text: str) -> None:
    assert when(at, WATCHED) == text


def test_times_are_iso_where_nobody_watches() -> None:
    nobody = TerminalStyle(now=NOON)
    for write in (lambda at: ago(at, nobody), lambda at: when(at, nobody), iso):
        assert write("2026-11-23T13:48:00.999+02:00") == "2026-11-23T11:48:00Z"


def test_an_open_end_has_no_span() -> None:
    assert span("2026-11-23T11:48:00Z", None) is None
    assert span("2026-11-23T11:48:00Z", "2026-11-23T11:48:02Z") == "2.0 s"
