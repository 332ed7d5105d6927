"""Who gets a seat when more come than there is room for: decided over addresses alone, without a socket."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from deployctl_web.http.admission import Admission, AdmissionRefusal, Limits, Seat
from deployctl_web.http.threads import FairQueue

FEW = Limits(connections=10, reserve=2, each=4)
PROXY = "10.0.0.1"


def admission(*proxies: str, limits: Limits = FEW) -> Admission:
    return Admission(limits, tuple(map(ip_network, proxies)))


def seated(here: Admission, address: str, count: int = 1, *, busy: bool = False) -> list[Seat]:
    found = [here.enter(address) for _ in range(count)]
    for seat in found:
        assert seat is not None
        seat.busy = lambda: busy
    return [seat for seat in found if seat]


def test_who_is_full_takes_the_place_of_their_own_oldest_connection() -> None:
    here = admission()
    first, second, *_ = seated(here, "192.0.2.1", 4)
    second.busy = lambda: True
    seated(here, "192.0.2.1", 2)
    assert (first.open, second.open, here.refused[AdmissionRefusal.DISPLACED]) == (False, True, 2)
    assert here.open_now() == {"signed_in": 0, "others": 4}


def test_who_is_full_of_requests_that_are_being_answered_gets_no_further_connection() -> None:
    here = admission()
    seated(here, "192.0.2.1", 4, busy=True)
    assert here.enter("192.0.2.1") is None
    assert here.refused[AdmissionRefusal.ADDRESS] == 1
    assert here.enter("192.0.2.2") is not None


@pytest.mark.parametrize(("first", "second", "one"), [
    ("2001:db8::1", "2001:db8::ffff:2", True), ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ("::ffff:192.0.2.1", "192.0.2.1", True), ("192.0.2.1", "192.0.2.2", False), ("fe80::1%eth0", "fe80::2%eth0", True)])
def test_one_stranger_is_an_address_or_a_64_of_ipv6(first: str, second: str, *, one: bool) -> None:
    here = admission()
    oldest = seated(here, first, 4)[0]
    seated(here, second)
    assert oldest.open is not one


def test_where_all_is_full_a_newcomer_takes_a_place_of_whoever_has_most() -> None:
    here = admission()
    seated(here, "192.0.2.1", 3)
    most = seated(here, "192.0.2.2", 4)
    seated(here, "192.0.2.3")
    newcomer = seated(here, "192.0.2.4")[0]
    assert [seat.open for seat in most] == [False, True, True, True]
    assert newcomer.open


def test_what_is_signed_in_is_no_strangers_and_stays() -> None:
    here = admission()
    mine = seated(here, "192.0.2.1", 4)
    for seat in mine:
        here.recognize(seat, "mara (web)")
    others = seated(here, "192.0.2.1", 4)
    assert here.open_now() == {"signed_in": 4, "others": 4}
    seated(here, "192.0.2.9", 3)
    assert all(seat.open for seat in mine)
    assert sum(seat.open for seat in others) < 4
    here.recognize(mine[0], None)
    assert here.open_now()["signed_in"] == 3, "who signed out is a stranger again"


def test_a_person_has_as_many_connections_as_an_address() -> None:
    here = admission()
    mine = [seated(here, f"192.0.2.{number}")[0] for number in range(5)]
    for seat in mine:
        here.recognize(seat, "mara (web)")
    assert [seat.open for seat in mine] == [False, True, True, True, True]


def test_what_must_not_be_closed_leaves_a_reserve_to_direct_loopback() -> None:
    here = admission()
    for number in range(8):
        seated(here, f"192.0.2.{number}", busy=True)
    assert here.enter("192.0.2.99") is None
    assert here.refused[AdmissionRefusal.FULL] == 1
    direct = seated(here, "127.0.0.1", busy=True)[0]
    assert here.admits(direct, "", forwarded=False)
    handed_on = seated(here, "::1", busy=True)[0]
    assert not here.admits(handed_on, "192.0.2.99", forwarded=True), "loopback by a proxy is no direct loopback"
    assert here.enter("127.0.0.2") is None, "and the reserve has an end"


def test_a_proxy_of_ours_has_no_reserve() -> None:
    here = admission("127.0.0.0/8")
    for number in range(8):
        seated(here, f"192.0.2.{number}", busy=True)
    assert here.enter("127.0.0.1") is None


def test_behind_a_proxy_each_visitor_has_their_own_limit() -> None:
    here = admission(f"{PROXY}/32", limits=Limits(connections=100, reserve=2, each=4))
    seats = seated(here, PROXY, 10, busy=True)
    assert [here.admits(seat, "203.0.113.7", forwarded=True) for seat in seats[:5]] == [True] * 4 + [False]
    assert here.refused[AdmissionRefusal.VISITOR] == 1
    assert here.admits(seats[5], "203.0.113.8", forwarded=True)
    assert here.admits(seats[6], "6.6.6.6, 203.0.113.9", forwarded=True), "what the visitor made up counts for nobody"
    assert not here.admits(seats[7], "203.0.113.9, 203.0.113.7", forwarded=True)
    here.rest(seats[0])
    assert here.admits(seats[7], "203.0.113.7", forwarded=True), "a request that was answered counts no more"
    here.recognize(seats[1], "mara (web)")
    assert here.admits(seats[8], "203.0.113.7", forwarded=True), "nor one of somebody who is signed in"


def test_a_claim_of_a_stranger_gives_them_no_second_address() -> None:
    here = admission(f"{PROXY}/32")
    for number, seat in enumerate(seated(here, "192.0.2.1", 4, busy=True)):
        here.admits(seat, f"203.0.113.{number}", forwarded=True)
    assert here.enter("192.0.2.1") is None


@dataclass
class Waits:
    name: str
    seat: Seat


def in_turn(*waiting: tuple[str, str | None, int]) -> list[str]:
    """Return in which order they are answered: (address, person, how many requests) each, in the order that they came."""
    queue = FairQueue()
    for address, person, count in waiting:
        for number in range(count):
            queue.append(Waits(f"{person or address}:{number}", Seat(address, visitor=address, person=person)))
    order = []
    while queue:
        order.append(queue.popleft())
    assert len(queue) == 0
    return [one.name for one in order if isinstance(one, Waits)]


def test_requests_are_answered_in_turn_by_whose_they_are() -> None:
    assert in_turn(("a", None, 3), ("b", None, 2), ("c", None, 1)) == ["a:0", "b:0", "c:0", "a:1", "b:1", "a:2"]
    assert in_turn(("a", None, 4)) == ["a:0", "a:1", "a:2", "a:3"]


def test_people_and_strangers_are_answered_alternately() -> None:
    strangers = [(f"s{number}", None, 5) for number in range(100)]
    order = in_turn(*strangers, ("x", "mara", 2), ("x", "jonas", 1))
    assert [name for name in order[:6] if name[0] != "s"] == ["mara:0", "jonas:0", "mara:1"]
    order = in_turn(("x", "greedy", 50), ("s", None, 1))
    assert order.index("s:0") <= 1, "who is signed in keeps no stranger from signing in"


def test_seats_come_back() -> None:
    here = admission()
    for _ in range(5):
        seats = seated(here, "192.0.2.1", 4)
        for seat in seats:
            here.recognize(seat, "mara (web)")
            here.leave(seat)
            here.leave(seat)
            here.recognize(seat, "late")
    assert here.open_now() == {"signed_in": 0, "others": 0}
    assert not here._strangers | here._people


def test_without_files_the_weakest_goes_and_without_weak_ones_nobody() -> None:
    here = admission()
    assert not here.shed()
    seat = seated(here, "192.0.2.1")[0]
    assert (here.shed(), seat.open) == (True, False)


def test_who_must_leave_is_hung_up_without_the_lock() -> None:
    here = admission()
    seats = seated(here, "192.0.2.1", 4)
    for seat in seats:
        seat.hang_up = lambda: here.leave(seats[0])  # as the server's loop does, from another thread
    seated(here, "192.0.2.1")
    assert not seats[0].open
