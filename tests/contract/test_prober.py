"""What every prober promises, the scripted one and the one with sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.effects.http.prober import SocketProber
from deployctl.ports import ProbeAnswer, Prober
from deployctl.testing.fake_prober import FakeProber
from tests import support
from tests.contract.raw_server import http, raw_server

Ask = Callable[[Probe, int | None], ProbeAnswer]  # the probe, and the status that the server gives (None: nobody listens)


@contextmanager
def fake_asker() -> Iterator[Ask]:
    def ask(probe: Probe, status: int | None) -> ProbeAnswer:
        prober: Prober = FakeProber(lambda asked: "connection refused" if status is None else status)
        return prober.ask(probe, "172.29.0.2", 8080, host="shop")

    yield ask


@contextmanager
def socket_asker() -> Iterator[Ask]:
    with ExitStack() as stack:

        def ask(probe: Probe, status: int | None) -> ProbeAnswer:
            prober: Prober = SocketProber()
            if status is None:
                return prober.ask(probe, "127.0.0.1", support.free_port(), host="shop")
            _, port = stack.enter_context(raw_server(http(status)))
            return prober.ask(probe, "127.0.0.1", port, host="shop")

        yield ask


@pytest.fixture(params=[fake_asker, socket_asker], ids=["fake", "sockets"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    with request.param() as asker:
        yield asker


@pytest.mark.parametrize("status", [200, 204, 301, 399])
def test_an_accepted_status_is_healthy(ask: Ask, status: int) -> None:
    answer = ask(Probe(path="/healthz"), status)
    assert (answer.ok, answer.status, answer.sentence) == (True, status, f"GET /healthz gave {status}")


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_another_status_is_not_and_is_named(ask: Ask, status: int) -> None:
    answer = ask(Probe(path="/healthz"), status)
    assert (answer.ok, answer.status, answer.sentence) == (False, status, f"GET /healthz gave {status}")


def test_the_accepted_range_is_the_probes(ask: Ask) -> None:
    probe = Probe(status=((200, 200), (503, 503)))
    assert [ask(probe, status).ok for status in (200, 201, 503, 504)] == [True, False, True, False]


@pytest.mark.parametrize("kind", [ProbeKind.HTTP, ProbeKind.TCP])
def test_a_port_where_nobody_listens_refuses(ask: Ask, kind: ProbeKind) -> None:
    answer = ask(Probe(kind=kind), None)
    assert (answer.ok, answer.status, answer.sentence) == (False, None, "connection refused")


def test_a_port_that_accepts_is_enough_for_tcp(ask: Ask) -> None:
    answer = ask(Probe(kind=ProbeKind.TCP), 503)
    assert answer.ok
    assert answer.status is None
    assert answer.sentence.endswith("accepts connections")


@pytest.mark.parametrize("kind", [ProbeKind.EXEC, ProbeKind.DOCKER])
def test_what_cannot_be_asked_from_outside_is_not_healthy(ask: Ask, kind: ProbeKind) -> None:
    assert not ask(Probe(kind=kind), 200).ok


def test_an_answer_tells_how_long_it_took(ask: Ask) -> None:
    assert ask(Probe(), 200).ms > 0
