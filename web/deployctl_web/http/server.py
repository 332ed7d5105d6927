"""The web server of `deployctl serve`: waitress in one thread beside the watcher, with a limit on everything that
clients send.

On shutdown, requests in progress have a moment to finish.
"""

from __future__ import annotations

import logging
import resource
import socket
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from threading import Lock
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments
from waitress.wasyncore import dispatcher

from deployctl.dataclass import replace
from deployctl_web.app import MAX_BODY_BYTES
from deployctl_web.http.admission import Admission, Limits
from deployctl_web.http.connection import Listener
from deployctl_web.security.proxy_headers import Forwarded

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

SERVER_THREADS = 48  # half of them may carry a stream each (MAX_STREAMS), and pages are served beside them
TURN = 0.0005  # seconds that a thread runs before another one may: the one that accepts connections would wait Python's
# 5 ms after each byte while others run, and a newcomer beside 1,500 busy connections 10 s
BACKLOG = 1024  # that wait to be accepted, as far as the kernel allows
FILES_EACH = 2  # a connection's own, and one that buffers what a slow reader has not read
OTHER_FILES = 512  # that this process may need in addition
LARGEST_HEAD = 32 * 1024  # bytes of request line and headers
UNREAD = 1024 * 1024  # bytes of one response that wait in memory for a slow reader; beyond that its writer waits, too
DEFAULT_LIMITS = Limits()
LAST_ANSWERS = 2.0  # seconds that shutdown waits for requests in progress


def open_socket(listen: tuple[str, int]) -> socket.socket:
    """Return a socket that listens there. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in listen[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(listen)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _room(wanted: int) -> int:
    """Raise the limit of open files to what that many connections need, or as far as allowed; return how many
    connections that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES_EACH * wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(64, (soft - OTHER_FILES) // FILES_EACH))


class DashboardServer:
    """One server on a listening socket. `run` in a thread of its own; the others may be called from any."""

    def __init__(self, app: WSGIApplication, sock: socket.socket, proxies: Sequence[str] = (),
                 limits: Limits = DEFAULT_LIMITS) -> None:
        self._lock, self._waited, self._closed = Lock(), False, False
        room = _room(limits.connections)
        self.admission = Admission(replace(limits, connections=room, reserve=min(limits.reserve, room // 4)),
                                   tuple(map(ip_network, proxies)))
        self._server: Any = Listener(Forwarded(app, proxies), sock, Adjustments(
            sockets=[sock], threads=SERVER_THREADS, backlog=BACKLOG,
            connection_limit=sys.maxsize,  # admission does the counting; waitress would make all newcomers wait
            max_request_body_size=MAX_BODY_BYTES, max_request_header_size=LARGEST_HEAD, outbuf_high_watermark=UNREAD,
            cleanup_interval=1, channel_request_lookahead=1,  # so that a browser's disconnect is noticed
            clear_untrusted_proxy_headers=False,  # Forwarded does, and waitress supports only one proxy
            ident=None, expose_tracebacks=False, log_socket_errors=False,
            asyncore_use_poll=True), self.admission)  # select supports no descriptor above 1024
        self._map = self._server.map

    def run(self) -> None:
        """Serve until `finish`."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(TURN)
        try:
            self._server.run()
        finally:
            sys.setswitchinterval(usual)

    def stop_accepting(self) -> None:
        """Accept no further connection; open ones continue."""
        self._in_loop(lambda: dispatcher.close(self._server))

    def finish(self) -> None:
        """Wait a moment for requests in progress, then close every connection, which ends `run`."""
        until = time.monotonic() + LAST_ANSWERS
        self._end_threads()
        while time.monotonic() < until and any(c.total_outbufs_len for c in [*self._server.active_channels.values()]):
            time.sleep(0.01)
        self._in_loop(self._let_go)

    def close(self) -> None:
        """Release the file descriptors, once `run` has returned or was never called. Idempotent. A thread that hangs
        may still write to the pipe that wakes the server: its descriptor must not become another file's, so it stays
        open."""
        self._end_threads()
        dispatcher.close(self._server)
        with self._lock:
            if not self._closed and not self._server.task_dispatcher.threads:
                self._server.trigger.close()
            self._closed = True

    def _end_threads(self) -> None:
        if not self._waited:
            self._waited = True
            self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=LAST_ANSWERS)

    def _let_go(self) -> None:
        dispatcher.close(self._server)
        for channel in [*self._server.active_channels.values()]:
            channel.handle_close()
        self._map.clear()  # which ends the loop

    def _in_loop(self, act: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:
                self._server.trigger.pull_trigger(act)


class ToJournal(logging.Handler):
    """Passes what libraries log to the journal, line by line, without the secret of any link."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._say(f"web: {_without_secrets(line)}")


def _without_secrets(line: str) -> str:
    import re

    return re.sub(r"(/start/)[^\s\]'\"]+", r"\1…", line)


def log_to(say: Callable[[str], None]) -> Callable[[], None]:
    """Make waitress and the application log there and nowhere else. Return what reverses that."""
    handler, loggers = ToJournal(say), [logging.getLogger(name) for name in ("waitress", "deployctl_web")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # otherwise a client with many requests would fill the journal

    def take_back() -> None:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True

    return take_back
