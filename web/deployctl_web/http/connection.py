"""One waitress connection with time limits: a head, a body and a response each have to come to an end.

A slow drip of bytes extends nothing. Limits are checked once a second, in the server's own loop.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, cast

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error

from deployctl_web.http.admission import CONNECTION, Admission, AdmissionRefusal, Seat
from deployctl_web.http.strict_head import StrictParser
from deployctl_web.http.threads import Threads
from deployctl_web.security.proxy_headers import CLAIMS, HOPS

LEAST_READ = 32 * 1024  # bytes that a reader takes within Limits.stall, or all that waits
MAX_ACCEPTS_AT_ONCE = 64  # connections that are accepted before others are handled again
UNANSWERED = 30_000  # milliseconds after which a peer that acknowledges nothing is gone
SOCKET_OPTIONS = ((socket.TCP_NODELAY,
                   1), *(((socket.TCP_USER_TIMEOUT, UNANSWERED),) if hasattr(socket, "TCP_USER_TIMEOUT") else ()))
PIPELINED = 4  # requests of one connection that wait at a time; a client that sends more is not a browser
BREATH = 0.05  # seconds before the next attempt when there is no file descriptor
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class TooManyRequests(Error):
    code = 429
    reason = "Too Many Requests"


class Task(WSGITask):
    """A request on its way to the application, which can tell the connection which user it is from."""

    channel: LimitedConnection

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[CONNECTION] = self.channel
        del environ["wsgi.file_wrapper"]  # which keeps a file open until the response is read
        return environ

    def finish(self) -> None:
        super().finish()
        self.channel.admission.rest(self.channel.seat)


class NoRequest(ErrorTask):
    """The response to what could not be parsed as a request."""

    channel: LimitedConnection

    def execute(self) -> None:
        if isinstance(cast(Any, self.request).error, BadRequest):
            self.channel.admission.refuse(AdmissionRefusal.AMBIGUOUS)
        super().execute()


class LimitedConnection(HTTPChannel):
    """A connection that has a seat. Runs in the server's loop unless noted otherwise."""

    task_class, error_task_class = Task, NoRequest

    def __init__(self, server: Listener, sock: socket.socket, address: tuple[Any, ...], seat: Seat) -> None:
        self.admission, self.seat = server.admission, seat
        self._phase, self._since = "head", time.monotonic()
        self._sent, self._sent_before, self._moved = 0, 0, self._since
        self._asked = False
        super().__init__(server, sock, address, server.adj, map=server.map)
        seat.busy = lambda: bool(self.requests)
        seat.hang_up = lambda: server.in_loop(self.handle_close)

    def parser_class(self, adj: Any) -> StrictParser:  # type: ignore[override]  # called as the class would be
        return StrictParser(adj, self._admit)

    def recognize(self, person: str | None) -> None:
        """Record which user is signed in with the current request, None for nobody; called in the thread that handles
        it."""
        self.admission.recognize(self.seat, person)

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many connections are open, by whom, and how many were rejected since the start, by reason."""
        refused = self.admission.refused
        return self.admission.open_now(), {str(why): refused[why] for why in AdmissionRefusal}

    def look(self, now: float) -> None:
        """Close it if its current phase takes too long."""
        limits = self.admission.limits
        phase = self._phase_now()
        if phase != self._phase:
            self._phase, self._since = phase, now
        if not self.total_outbufs_len or self._sent - self._sent_before >= LEAST_READ:
            self._sent_before, self._moved = self._sent, now
        within = {"head": limits.head, "body": limits.body, "idle": limits.idle}.get(phase)
        if now - self._moved > limits.stall:
            self._give_up(AdmissionRefusal.SLOW_READER)
        elif within is not None and now - self._since > within and not self.total_outbufs_len:
            self._give_up(None if phase == "idle" else AdmissionRefusal.SLOW_REQUEST)

    def _phase_now(self) -> str:
        """Return what it waits for: head, body, response, or the next request (idle)."""
        request = self.request
        if self.requests:
            return "answer"
        if request is not None and request.headers_finished:
            return "body"
        return "head" if request is not None or not self._asked else "idle"

    def _give_up(self, why: AdmissionRefusal | None) -> None:
        if why is not None:
            self.admission.refuse(why)
        self.handle_close()

    # -- called by waitress -----------------------------------------------------------------------------------------
    def _admit(self, request: StrictParser) -> Error | None:
        """Return the error that rejects the request whose head was just read."""
        self._asked = True
        if request.error is not None:
            return None
        if len(self.requests) >= PIPELINED:
            if len(self.requests) == PIPELINED:  # what comes after that is neither handled nor counted
                self.admission.refuse(AdmissionRefusal.PIPELINED)
            return TooManyRequests("Too many pipelined requests on this connection")
        named = {f"HTTP_{name}" for name in request.headers}
        hops = str(request.headers.get(HOPS.removeprefix("HTTP_"), ""))
        if self.admission.admits(self.seat, hops, forwarded=not named.isdisjoint(CLAIMS)):
            return None
        return TooManyRequests("Too many concurrent requests from this address")

    def handle_read(self) -> None:
        """Continue reading, unless the event belongs to the connection that had this descriptor a moment ago."""
        if self.socket is not None and not _is_silent(self.socket):
            super().handle_read()

    def handle_expt(self) -> None:
        """Urgent data is not HTTP; ignored, it would be reported again and again."""
        self.handle_close()

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent = int(super().send(data, do_close=do_close))
        self._sent += sent
        return sent

    def handle_close(self) -> None:
        self.admission.leave(self.seat)
        super().handle_close()


def _is_silent(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:  # the reader will notice
        return False
    return False


class Listener(TcpWSGIServer):
    """Accepts every connection immediately, and closes those without a seat."""

    def __init__(self, app: Any, sock: socket.socket, adj: Any, admission: Admission) -> None:
        self.admission = admission
        self.map: dict[int, Any] = {}
        super().__init__(app, self.map, True, sock, dispatcher=Threads(adj.threads), adj=adj, bind_socket=False,
                         sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()))

    def in_loop(self, act: Callable[[], None]) -> None:
        cast(Any, self.trigger).pull_trigger(act)

    def handle_accept(self) -> None:
        for _ in range(MAX_ACCEPTS_AT_ONCE):
            try:
                found = self.accept()
            except OSError:  # no file descriptor is left for it
                if not self.admission.shed():
                    time.sleep(BREATH)
                return
            if found is None:
                return
            self._take(*found)

    def _take(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        seat = self.admission.enter(str(address[0]))
        try:
            if seat is not None:
                for option, value in SOCKET_OPTIONS:
                    sock.setsockopt(socket.IPPROTO_TCP, option, value)
                LimitedConnection(self, sock, address, seat)
                return
            sock.send(BUSY, socket.MSG_DONTWAIT)
        except OSError:  # closed already
            if seat is not None:
                self.admission.leave(seat)
        sock.close()

    def maintenance(self, now: float) -> None:
        moment = time.monotonic()
        for connection in [*cast(dict[int, LimitedConnection], self.active_channels).values()]:
            connection.look(moment)
