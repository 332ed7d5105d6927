"""The count equals the plan, exactly: a server does a planned number of everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from deployctl.demo.visitor_count import Count
from deployctl.demo.visitor_crowd import Crowd, VisitPlan
from tests.planned_server import SLOW, planned_server
from tests.support import free_port

RATE = 100.0
OUTCOMES = {  # on a connection of its own
    "ok": "ok", "v2": "ok", "chunked": "ok", "early": "ok", "empty": "ok", "slow": "ok", "to the end": "ok",
    "goodbye": "ok", "app 404": "app_4xx", "app 500": "app_5xx", "marked 500": "app_5xx",
    "proxy 503": "proxy_5xx", "proxy 404": "proxy_4xx", "garbage": "protocol", "no length": "protocol",
    "half head": "eof", "half body": "eof", "drop": "eof", "reset": "reset", "silence": "timeout",
}  # fmt: skip


def visit(url: str, requests: int, **wish: Any) -> Count:
    """Visit with so many requests, in this process."""

    async def go() -> Count:
        asked = VisitPlan(url, rate=RATE, seconds=(requests - 0.5) / RATE, **{"timeout": 2.0, **wish})
        return await Crowd(asked).visit(asyncio.Event())

    return asyncio.run(go())


def test_every_kind_of_answer_and_failure_is_counted_as_planned() -> None:
    plan = [act for number, act in enumerate(OUTCOMES, 1) for _ in range(1 + number % 3)]
    planned = Counter(OUTCOMES[act] for act in plan)
    with planned_server(plan) as server:
        count = visit(server.url, len(plan), keep_alive=False)
    assert server.acts == plan
    assert count.by_class == planned
    assert count.sent == len(plan) == count.connections
    assert count.app_5xx == planned["app_5xx"]
    assert count.ok == planned["ok"] + planned["app_4xx"]
    assert count.lost == len(plan) - count.ok - count.app_5xx


def visit_in_turn(url: str, requests: int, **wish: Any) -> Count:
    """Visit with so many requests, each after the end of the one before: on a busy machine those of a rate would overlap."""

    async def go() -> Count:
        crowd = Crowd(VisitPlan(url, rate=RATE, **{"timeout": 10.0, **wish}))
        for _ in range(requests):
            await crowd._one(asyncio.get_running_loop().time())
        for connection in crowd._idle:
            connection.abort()
        return crowd.counted()

    return asyncio.run(go())


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_good_server_loses_nobody(*, keep_alive: bool) -> None:
    with planned_server() as server:
        count = visit(server.url, 50, keep_alive=keep_alive)
    assert (count.sent, count.ok, count.lost) == (50, 50, 0)
    assert server.connections == count.connections
    assert (count.connections < 50) is keep_alive
    assert count.sentence == "50 requests, 0 lost"


def test_a_kept_connection_that_is_closed_or_reset_instead_of_answering_is_stale_and_lost() -> None:
    with planned_server(["ok", "drop", "ok", "reset", "ok"]) as server:
        count = visit_in_turn(server.url, 5)
    assert count.by_class == {"ok": 3, "stale": 2}
    assert count.lost == 2
    assert count.sentence == "5 requests, 2 lost (2 stale)"


def test_a_stale_connection_is_retried_once_on_a_fresh_one_when_asked() -> None:
    with planned_server(["ok", "drop", "ok", "drop", "reset", "ok"]) as server:
        count = visit_in_turn(server.url, 4, retry_stale=True)
    assert server.acts == ["ok", "drop", "ok", "drop", "reset", "ok"]
    assert count.by_class == {"ok": 3, "reset": 1}
    assert count.retried == 2


def test_a_connection_closed_between_two_requests_is_nobodys_loss() -> None:
    with planned_server(["goodbye"] * 10) as server:
        count = visit(server.url, 10)
    assert (count.ok, count.lost, count.connections) == (10, 0, 10)


def test_a_body_cut_short_on_a_kept_connection_is_lost_and_the_connection_is_not_used_again() -> None:
    with planned_server(["ok", "half body", "ok"]) as server:
        count = visit(server.url, 3)
    assert count.by_class == {"ok": 2, "eof": 1}


def test_nobody_listening_is_refused_every_time() -> None:
    count = visit(f"http://127.0.0.1:{free_port()}/", 20)
    assert count.by_class == {"refused": 20}
    assert count.p50_ms is None
    assert count.longest_gap_ms >= 150


def test_slow_answers_do_not_slow_down_the_others() -> None:
    requests = 30
    with planned_server(["slow"] * requests) as server:
        count = visit(server.url, requests)
    assert count.ok == requests
    assert count.connections > 10  # they were asked side by side
    assert count.seconds < requests * SLOW / 3
    assert count.p50_ms is not None
    assert count.p50_ms >= SLOW * 1000


def test_the_wait_is_counted_from_when_a_request_was_due() -> None:
    """A server that hangs for a while has kept all waiting who came meanwhile, not only the one who was let in."""
    with planned_server(["slow", *["ok"] * 9]) as server:
        count = visit(server.url, 10, keep_alive=False)
    assert count.max_ms is not None
    assert count.max_ms >= SLOW * 1000


def test_versions_and_their_changes_are_seen_in_order() -> None:
    with planned_server(["ok", "ok", "v2", "v2", "v2", "ok"]) as server:
        count = visit(server.url, 6)
    assert count.by_version == {"v1": 3, "v2": 3}
    assert [version for _, version in count.transitions] == ["v1", "v2", "v1"]


def test_the_longest_time_without_a_good_answer_is_told() -> None:
    with planned_server(["ok"] * 5 + ["proxy 503"] * 30 + ["ok"] * 5) as server:
        count = visit(server.url, 40)
    assert count.by_class == {"ok": 10, "proxy_5xx": 30}
    assert 250 <= count.longest_gap_ms <= count.seconds * 1000


def test_a_set_stop_ends_the_visit_and_every_open_request_is_still_counted() -> None:
    async def go(url: str) -> Count:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, stop.set)
        return await Crowd(VisitPlan(url, rate=RATE, seconds=0)).visit(stop)

    with planned_server(["slow"] * 200) as server:
        count = asyncio.run(go(server.url))
        assert count.ok == count.sent == len(server.acts)
    assert 2 <= count.sent <= 30
