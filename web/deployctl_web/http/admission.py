"""Which connections are kept when there are more than there is room for. Decided here without a socket: the server
obeys.

A connection counts for the address it comes from (IPv6: its /64) until a user is recognised on it; then it counts for
that user and no longer makes room for strangers. Behind one of `web.proxies` it counts for the client whose request it
carries, and between two requests for the proxy, which has no limit of its own. A client at its limit replaces its own
oldest idle connection; if everything is full a newcomer replaces one of the stranger with the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import IPv6Address
from threading import Lock

from deployctl.dataclass import dataclass, field
from deployctl_web.security.proxy_headers import Network, find_asker, parse_address

CONNECTION = "deployctl.connection"  # in the WSGI environment: the connection that carries the request


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how many seconds each may take for what."""

    connections: int = 2000  # open at a time
    reserve: int = 64  # of these: for direct loopback, once all others are taken by what must not be closed
    each: int = 64  # per address, per client behind a proxy, per user
    head: float = 10.0  # from the beginning of a connection, or of a later request, to the end of the head
    body: float = 20.0
    idle: float = 60.0  # between two requests
    stall: float = 30.0  # in which a reader takes at least LEAST_READ bytes of what waits for it


class AdmissionRefusal(StrEnum):
    """Why a connection was rejected, or closed."""

    ADDRESS = "too_many_of_one_address"
    VISITOR = "too_many_of_one_visitor"
    FULL = "no_room"
    DISPLACED = "displaced"
    SLOW_REQUEST = "slow_request"
    SLOW_READER = "slow_reader"
    PIPELINED = "too_many_at_once"
    AMBIGUOUS = "ambiguous_request"


@dataclass(slots=True, eq=False)
class Seat:
    """One open connection. `busy` says whether a request on it is being handled; `hang_up` closes it, from any
    thread."""

    peer: str
    busy: Callable[[], bool] = lambda: False
    hang_up: Callable[[], None] = lambda: None
    reserved: bool = False  # taken from the reserve: only for direct loopback
    visitor: str = ""  # the address that it counts for while no user is known
    person: str | None = None
    open: bool = True


Book = dict[str, dict[Seat, None]]  # key → its seats, oldest first


@dataclass(slots=True)
class Admission:
    """The seats of one server. May be called from any thread."""

    limits: Limits = Limits()
    proxies: Sequence[Network] = ()
    refused: Counter[AdmissionRefusal] = field(default_factory=Counter)
    _strangers: Book = field(default_factory=dict)
    _people: Book = field(default_factory=dict)
    _seats: int = 0
    _lock: Lock = field(default_factory=Lock)

    def enter(self, peer: str) -> Seat | None:
        """Return a seat for a connection from there, None if there is none for it."""
        own = whose(peer)
        seat, leaves = Seat(peer, visitor=own), None
        with self._lock:
            if not self._is_proxy(peer) and len(self._strangers.get(own, ())) >= self.limits.each:
                leaves, why = _oldest_idle(self._strangers[own]), AdmissionRefusal.ADDRESS
            elif self._seats < self._free_for(seat):
                why = None
            else:
                leaves, why = self._weakest(), AdmissionRefusal.FULL
            if why is not None and not self._displaced(leaves):
                self.refused[why] += 1
                return None
            self._seats += 1
            self._write_in(seat)
        _hang_up(leaves)
        return seat

    def _free_for(self, seat: Seat) -> int:
        """Return how many seats it may take: including the reserve, if it comes from loopback and not through a proxy
        of ours."""
        limits, common = self.limits, self.limits.connections - self.limits.reserve
        seat.reserved = self._seats >= common and not self._is_proxy(seat.peer) and _is_loopback(seat.peer)
        return limits.connections if seat.reserved else common

    def admits(self, seat: Seat, hops: str, *, forwarded: bool) -> bool:
        """Return whether a request may be handled now that its head is read. `hops` is its X-Forwarded-For;
        `forwarded`: it claims to have been passed on, so loopback is not where it comes from."""
        visitor = whose(find_asker(seat.peer, hops, self.proxies))
        with self._lock:
            if seat.reserved and forwarded:
                self.refused[AdmissionRefusal.FULL] += 1
                return False
            if seat.person is None and visitor != seat.visitor and len(self._strangers.get(visitor, ())) >= self.limits.each:
                self.refused[AdmissionRefusal.VISITOR] += 1
                return False
            self._move(seat, visitor, seat.person)
            return seat.open

    def recognize(self, seat: Seat, person: str | None) -> None:
        """Count the seat for the user who signed in on it, with None for its address again."""
        leaves = None
        with self._lock:
            self._move(seat, seat.visitor, person)
            if person is not None and len(self._people.get(person, ())) > self.limits.each:
                self._displaced(leaves := _oldest_idle(self._people[person]))
        _hang_up(leaves)

    def rest(self, seat: Seat) -> None:
        """Count the connection of a proxy, which may carry another client's request next, for the proxy again."""
        if self._is_proxy(seat.peer):
            with self._lock:
                self._move(seat, whose(seat.peer), None)

    def leave(self, seat: Seat) -> None:
        """Return the seat. Idempotent."""
        with self._lock:
            self._take_back(seat)

    def shed(self) -> bool:
        """Close an idle connection, for lack of file descriptors; return whether there was one."""
        with self._lock:
            done = self._displaced(leaves := self._weakest())
        _hang_up(leaves)
        return done

    def refuse(self, why: AdmissionRefusal) -> None:
        with self._lock:
            self.refused[why] += 1

    def open_now(self) -> dict[str, int]:
        """Return how many connections are open: of signed-in users, and of others."""
        with self._lock:
            people = sum(map(len, self._people.values()))
            return {"signed_in": people, "others": self._seats - people}

    # -- the books, under the lock -----------------------------------------------------------------------------------
    def _is_proxy(self, peer: str) -> bool:
        at = parse_address(peer)
        return at is not None and any(at in proxy for proxy in self.proxies)

    def _weakest(self) -> Seat | None:
        """Return a stranger's oldest idle seat, of the stranger with the most; a user's only if no stranger has one."""
        for book in (self._strangers, self._people):
            for seats in sorted(book.values(), key=len, reverse=True):
                if (found := _oldest_idle(seats)) is not None:
                    return found
        return None

    def _displaced(self, seat: Seat | None) -> bool:
        """Take the seat for another connection; this one is closed later, without the lock, which the server's loop may
        want."""
        if seat is not None:
            self.refused[AdmissionRefusal.DISPLACED] += 1
            self._take_back(seat)
        return seat is not None

    def _move(self, seat: Seat, visitor: str, person: str | None) -> None:
        if seat.open and (visitor, person) != (seat.visitor, seat.person):
            self._strike_out(seat)
            seat.visitor, seat.person = visitor, person
            self._write_in(seat)

    def _take_back(self, seat: Seat) -> None:
        if seat.open:
            seat.open = False
            self._seats -= 1
            self._strike_out(seat)

    def _page(self, seat: Seat) -> tuple[Book, str]:
        return (self._strangers, seat.visitor) if seat.person is None else (self._people, seat.person)

    def _write_in(self, seat: Seat) -> None:
        book, whose = self._page(seat)
        book.setdefault(whose, {})[seat] = None

    def _strike_out(self, seat: Seat) -> None:
        book, whose = self._page(seat)
        del book[whose][seat]
        if not book[whose]:
            del book[whose]


def _hang_up(seat: Seat | None) -> None:
    if seat is not None:
        seat.hang_up()


def _oldest_idle(seats: dict[Seat, None]) -> Seat | None:
    return next((seat for seat in seats if not seat.busy()), None)


def whose(address: str) -> str:
    """Return the key of one stranger: an IPv4 address, the /64 of an IPv6 address."""
    at = parse_address(address)
    return f"{IPv6Address(int(at) >> 64 << 64)}/64" if isinstance(at, IPv6Address) else str(at or address)


def _is_loopback(address: str) -> bool:
    at = parse_address(address)
    return at is not None and at.is_loopback
