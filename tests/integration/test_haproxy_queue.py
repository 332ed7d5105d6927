"""Requests wait at HAProxy while an exclusive component is handed over: none is lost, and none waits without end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from deployctl.effects.haproxy.config import queue as config
from tests.proxies import BLOG, SHOP, Proxy, ask, proxy, wait_for
from tests.support import free_port

Answer = tuple[int, str, dict[str, str]]


@pytest.fixture
def queued() -> Iterator[Proxy]:
    """A proxy whose shop may let requests wait."""
    with proxy() as found:
        found.ledger.let_wait(SHOP)
        found.traffic().sync()
        for app in (SHOP, BLOG):
            found.traffic().switch(app, 1)
        yield found


def asked(pool: ThreadPoolExecutor, world: Proxy, count: int, *, method: str = "GET") -> list[Future[Answer]]:
    return [pool.submit(ask, world.port(SHOP), "/", method=method) for _ in range(count)]


def test_requests_wait_and_are_served_by_the_release_that_is_live_then(queued: Proxy) -> None:
    traffic = queued.traffic()
    traffic.queue(SHOP, seconds=60)
    with ThreadPoolExecutor(24) as pool:
        waiting = [*asked(pool, queued, 12), *asked(pool, queued, 12, method="POST")]
        assert ask(queued.port(BLOG), "/")[0] == 200, "others do not wait"
        time.sleep(0.3)
        assert not any(one.done() for one in waiting)
        traffic.switch(SHOP, 2)
        traffic.release_queue(SHOP)
        answers = [one.result(timeout=30) for one in waiting]
    assert {status for status, _, _ in answers} == {200}
    assert {body for _, body, _ in answers} == {"shop.2"}


def test_the_gate_does_not_wait(queued: Proxy) -> None:
    from tests.contract.test_traffic import PROBE

    queued.traffic().queue(SHOP, seconds=60)
    assert queued.traffic().ask(SHOP, 2, PROBE).status == 200


def test_what_waited_too_long_gets_503_and_what_comes_later_is_served(queued: Proxy) -> None:
    """As it is when the controller has died."""
    queued.traffic().queue(SHOP, seconds=0.5)
    status, _, headers = ask(queued.port(SHOP), "/")
    assert (status, headers.get("retry-after")) == (503, str(config.RETRY))
    assert ask(queued.port(SHOP), "/")[0] == 200
    assert queued.traffic().queues() == {}


def test_a_queue_can_be_given_more_time(queued: Proxy) -> None:
    traffic = queued.traffic()
    traffic.queue(SHOP, seconds=1)
    with ThreadPoolExecutor(1) as pool:
        waiting = asked(pool, queued, 1)[0]
        traffic.queue(SHOP, seconds=60)
        time.sleep(1.2)
        assert not waiting.done()
        traffic.release_queue(SHOP)
        assert waiting.result(timeout=30)[0] == 200


def test_a_reload_meanwhile_loses_none(queued: Proxy) -> None:
    traffic = queued.traffic()
    traffic.queue(SHOP, seconds=60)
    with ThreadPoolExecutor(8) as pool:
        before = asked(pool, queued, 4)
        time.sleep(0.3)
        queued.ledger.listen(BLOG, free_port())
        traffic.sync()
        wait_for(lambda: SHOP in traffic.queues())
        after = asked(pool, queued, 4)
        time.sleep(0.3)
        assert not any(one.done() for one in [*before, *after])
        traffic.release_queue(SHOP)
        assert {one.result(timeout=30)[0] for one in [*before, *after]} == {200}


def test_an_app_without_a_queue_has_no_rule_for_it() -> None:
    with proxy() as found:
        found.traffic().sync()
        text = (found.folder / "haproxy.cfg").read_text()
        assert "queue" not in text
        assert "lua" not in text
        assert found.traffic().queues() == {}
        found.traffic().release_queue(SHOP)
