"""Docker's events as ours: however the bytes were cut, and whatever else stands between them."""

from __future__ import annotations

import json

import pytest

from deployctl.domain.host.home import HomeIdentity
from deployctl.effects.docker.events import parse_events, question
from deployctl.ports import ContainerFacts, EngineEvent

HOME = HomeIdentity("/srv/deployctl", "5e" * 8)


def nobody(container: str) -> ContainerFacts | None:
    return None


def line(at: int, action: str = "start", **attributes: str) -> bytes:
    actor = {"ID": "c" * 64, "Attributes": {"deployctl.app": "shop", "deployctl.home": HOME.path, **attributes}}
    return json.dumps({"Type": "container", "Action": action, "Actor": actor, "timeNano": at}).encode() + b"\n"


WHOLE = line(10) + line(20, "die")
TOLD = [EngineEvent(10, "start", "c" * 64, "shop"), EngineEvent(20, "die", "c" * 64, "shop")]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_events_are_whole_however_their_bytes_were_cut(size: int) -> None:
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    assert list(parse_events(pieces, HOME, nobody, since=0)) == TOLD


def test_a_torn_end_is_no_event() -> None:
    assert list(parse_events([WHOLE[:-1]], HOME, nobody, since=0)) == TOLD[:1]


def test_what_was_told_before_is_not_told_again() -> None:
    assert list(parse_events([WHOLE], HOME, nobody, since=10)) == TOLD[1:]


@pytest.mark.parametrize("odd", [b"no JSON", b"[]", b"7", b"{}", b'{"Actor": 1}', b'{"Actor": {"ID": "x"}}', b"\xff", b""])
def test_what_is_no_event_is_passed_over(odd: bytes) -> None:
    assert list(parse_events([line(10), odd + b"\n", line(20, "die")], HOME, nobody, since=0)) == TOLD


def test_the_time_of_the_last_event_is_asked_for_to_the_nanosecond() -> None:
    asked = question(since=1_700_000_000_000_000_007)
    assert asked.endswith("since=1700000000.000000007")
    assert "since" not in question(since=None)


DOCKERS = {"ID": "f" * 64, "Attributes": {"container": "c" * 64, "name": "deployctl-shop", "type": "bridge"}}
PODMANS = {"ID": "c" * 64, "Attributes": {"image": "", "name": "shop--v1--r1", "network": "deployctl-shop", "podId": ""}}


def off_its_network(actor: dict[str, object]) -> bytes:
    """As Docker 20.10 to 29 and Podman 5.4 tell it."""
    return json.dumps({"Type": "network", "Action": "disconnect", "Actor": actor, "timeNano": 30}).encode() + b"\n"


@pytest.mark.parametrize("actor", [DOCKERS, PODMANS])
@pytest.mark.parametrize(("home", "running", "count"), [(HOME.path, True, 1), (HOME.path, False, 0), ("/srv/another", True, 0)])
def test_a_running_container_of_ours_that_lost_its_network_is_told_of(
    actor: dict[str, object], home: str, running: bool, count: int
) -> None:
    labels = {"deployctl.app": "shop", "deployctl.home": home}
    known = ContainerFacts("c" * 64, "shop--v1--r1", "sha256:1", running=running, status="running", labels=labels)
    told = list(parse_events([off_its_network(actor)], HOME, lambda one: known if one == known.id else None, since=0))
    assert told == [EngineEvent(30, "disconnect", "c" * 64, "shop")] * count


def test_what_podman_calls_otherwise_is_told_in_dockers_words() -> None:
    told = parse_events([line(10, "died"), line(20, "remove")], HOME, nobody, since=0)
    assert [event.action for event in told] == ["die", "destroy"]


def test_another_homes_containers_are_not_told_of() -> None:
    others = line(10, **{"deployctl.home": "/srv/other"}) + line(15, **{"deployctl.home-id": "0f" * 8})
    mine = line(20, "die", **{"deployctl.home": "/srv/former", "deployctl.home-id": HOME.id})
    assert list(parse_events([others + mine], HOME, nobody, since=0)) == TOLD[1:]
