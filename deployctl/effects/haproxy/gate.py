"""The gate: one request to a candidate by the route that clients take, through a bind of HAProxy that only its owner
can reach.

The bind is a Unix socket in a private folder. It leads into the clients' own frontend, and it alone may name the
release there. A response that an app wrote gets a mark on its way; HAProxy's own has none, and then the trace shows
why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

from deployctl.dataclass import dataclass, replace
from deployctl.domain.proxy.gate import GateAnswer
from deployctl.domain.proxy.rejections import Cause, cause_of
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.trace import GATE, HAPROXY_MAX_HEADERS
from deployctl.effects.http.prober import BODY, askable, judge, put
from deployctl.effects.http.wire import Closed, NotHttp, read_body
from deployctl.paths import Path
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Probe
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.effects.haproxy.trace import HaproxyTrace
    from deployctl.effects.http.wire import Head, Wire

GATE_HEADER = "X-Deployctl-Gate"
BODY_TIME = 0.2  # seconds for a body: an endless one is fine, one that breaks off is not
ADDED = 8  # headers that HAProxy may add to as many as it accepts from an app
TRACED = 0.5  # seconds for HAProxy to log its own response
REPLICA_DOTS = 4  # in APP.RELEASE.COMPONENT.PORT.REPLICA
_TICK = 0.005

# A client's header of that name has no effect and is not passed on.
GATE_RULES = f"""  acl gate so_name -m str -- {GATE}
  http-request set-var(txn.app) req.fhdr({GATE_HEADER}),field(1,.) if gate"""
_RELEASE_RULE = f"  http-request set-var(txn.release) req.fhdr({GATE_HEADER}),field(2,.) if gate"
_ONE_RULES = f"""  http-request set-var(txn.part) req.fhdr({GATE_HEADER}),field(3,.,2) if gate
  http-request set-var(txn.one) req.fhdr({GATE_HEADER}) if gate {{ req.fhdr({GATE_HEADER}),field(5,.) -m found }}"""
_FORGET_RULE = f"  http-request del-header {GATE_HEADER}"
GATE_WAY_RULES = "  http-request set-var(txn.way) var(txn.server),concat(.,txn.part) if gate { var(txn.part) -m found }"


def release_rules(table: TrafficTable) -> list[str]:
    """Return how the gate names the release, and where releases have several servers the one that it means."""
    return [_RELEASE_RULE, *([_ONE_RULES] if table.replicated or table.ports else []), _FORGET_RULE]


def answer_rule(table: TrafficTable) -> str:
    """Return how a response of an app is marked; with replicas by who wrote it, because HAProxy passes over one that is
    down."""
    return f"  http-response set-header {GATE_HEADER} {'%s' if table.replicated else 'app'} if gate"


def bind(path: str) -> str:
    """Return the private bind. It takes the PROXY protocol, so that a request looks like a client's from loopback."""
    return f"  bind unix@{path} mode 600 accept-proxy name {GATE}"


@dataclass(frozen=True, slots=True)
class HaproxyGate:
    """Probes through the private bind. `locked` holds the proxy lock."""

    trace: HaproxyTrace
    locked: Callable[[], AbstractContextManager[None]]

    def ask(self, path: Path, server: str, probe: Probe) -> GateAnswer:
        """Probe that server, or the one of that release, once, by HTTP whatever the probe is, within probe.timeout. Raises
        FileNotFoundError or ConnectionRefusedError if the bind does not exist."""
        began, host = time.monotonic(), probe.host or server.partition(".")[0]
        port = int.from_bytes(os.urandom(2), "big") or 1  # of no real client: it identifies this request in the trace
        if not askable(probe, host):
            return GateAnswer("path or host of this probe contains characters that HTTP does not allow", Cause.NOT_ACCEPTED)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
            sock.settimeout(probe.timeout)
            sock.connect(str(path))
            try:
                sock.sendall(f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} 80\r\n".encode("ascii"))
                head, body = put(sock, probe, host=host, deadline=began + probe.timeout,
                                 more={GATE_HEADER: wire.require_name(server)}, most=HAPROXY_MAX_HEADERS + ADDED)
                answer = self._judge(head, body, probe, f"127.0.0.1:{port}", server)
            except TimeoutError:
                answer = GateAnswer(f"no response within {probe.timeout:g} s", Cause.TIMEOUT)
            except (OSError, NotHttp, Closed) as e:
                answer = GateAnswer(f"HAProxy closed the connection: {e or type(e).__name__}", Cause.OTHER)
        return replace(answer, ms=(time.monotonic() - began) * 1000)

    def _judge(self, head: Head, body: Wire, probe: Probe, client: str, server: str) -> GateAnswer:
        wrote = head.headers.get(GATE_HEADER.lower())
        if wrote is None:
            return self._refused(head, probe, client)
        if server.count(".") == REPLICA_DOTS and wrote != server:
            return GateAnswer(f"GET {probe.path} was answered by {wrote}: HAProxy cannot reach {server}", Cause.UNREACHABLE)
        answer = judge(head, body, probe)
        if not answer.ok:
            return GateAnswer(answer.sentence, Cause.NOT_ACCEPTED, head.status)
        if probe.body is None and _breaks_off(head, body):
            message = f"{answer.sentence} and then closed the connection"
            return GateAnswer(message, Cause.INVALID_ANSWER, head.status, "its body is incomplete")
        return GateAnswer(answer.sentence, status=head.status)

    def _refused(self, head: Head, probe: Probe, client: str) -> GateAnswer:
        end = time.monotonic() + TRACED
        while (found := self.trace.find(client)) is None and time.monotonic() < end:
            time.sleep(_TICK)
        message = f"GET {probe.path} gave HAProxy's own {head.status}"
        if found is None:
            return GateAnswer(message, cause_of(head.status), head.status)
        if found.cause is Cause.INVALID_ANSWER:
            with self.locked():
                found = self.trace.with_detail(found)
        return GateAnswer(message, found.cause, head.status, found.detail)


def _breaks_off(head: Head, body: Wire) -> bool:
    seen, end = 0, time.monotonic() + BODY_TIME
    body.wait_for_ever(quiet=BODY_TIME)
    try:
        for piece in read_body(body, head):
            seen += len(piece)
            if seen >= BODY or time.monotonic() >= end:
                return False
    except TimeoutError:
        return False
    except (OSError, NotHttp, Closed):
        return True
    return False
