"""Docker's events as ours: however the bytes were cut, and whatever else stands between them."""

from __future__ import annotations

import json

import pytest

from deployctl.effects.docker_events import parse_events, question
from deployctl.ports import EngineEvent


def line(at: int, action: str = "start", **attributes: str) -> bytes:
    actor = {"ID": "c" * 64, "Attributes": {"deployctl.app": "shop", **attributes}}
    return json.dumps({"Type": "container", "Action": action, "Actor": actor, "timeNano": at}).encode() + b"\n"


WHOLE = line(10) + line(20, "die")
TOLD = [EngineEvent(10, "start", "c" * 64, "shop"), EngineEvent(20, "die", "c" * 64, "shop")]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_events_are_whole_however_their_bytes_were_cut(size: int) -> None:
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    assert list(parse_events(pieces, since=0)) == TOLD


def test_a_torn_end_is_no_event() -> None:
    assert list(parse_events([WHOLE[:-1]], since=0)) == TOLD[:1]


def test_what_was_told_before_is_not_told_again() -> None:
    assert list(parse_events([WHOLE], since=10)) == TOLD[1:]


@pytest.mark.parametrize("odd", [b"no JSON", b"[]", b"7", b"{}", b'{"Actor": 1}', b'{"Actor": {"ID": "x"}}', b"\xff", b""])
def test_what_is_no_event_is_passed_over(odd: bytes) -> None:
    assert list(parse_events([line(10), odd + b"\n", line(20, "die")], since=0)) == TOLD


def test_the_time_of_the_last_event_is_asked_for_to_the_nanosecond() -> None:
    asked = question("/srv/deployctl", since=1_700_000_000_000_000_007)
    assert asked.endswith("since=1700000000.000000007")
    assert "since" not in question("/srv/deployctl", since=None)
