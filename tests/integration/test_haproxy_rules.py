"""What a request meets at HAProxy: who answers, who may choose, and what is said when nobody can."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import Version
from deployctl.effects.haproxy.socket.runtime import ask as command
from tests.proxies import BLOG, SHOP, Proxy, ask, backend, proxy
from tests.support import free_port

HEADER = "X-Deployctl-Version"


@pytest.fixture(scope="module")
def world() -> Iterator[Proxy]:
    """shop: release 1 is live, 2 is known, 3 (v3) is on hold, 4 (v4) is routed to but was never checked. blog: no live
    version."""
    with proxy() as found:
        ports = found.instances
        found.ledger.add(
            backend(SHOP, 3, ports["shop.2"].port, held=True), backend(SHOP, 4, ports["shop.2"].port, preview=False)
        )
        found.ledger.table = replace(found.ledger.table, hosts={"shop.example.com": SHOP})
        found.traffic().switch(SHOP, 1)
        yield found


def headers_seen(world: Proxy, server: str) -> dict[str, str]:
    return {name.lower(): value for name, value in world.instances[server].seen[-1][2].items()}


def test_the_answer_names_its_version(world: Proxy) -> None:
    status, text, headers = ask(world.port(SHOP))
    assert (status, text, headers[HEADER.lower()]) == (200, "shop.1", "v1")


def test_the_app_learns_who_asked(world: Proxy) -> None:
    world.ask()
    assert headers_seen(world, "shop.1")["x-forwarded-for"] == "127.0.0.1"


def test_an_app_without_a_route_says_503_and_is_worth_another_try(world: Proxy) -> None:
    status, text, headers = ask(world.port(BLOG))
    assert (status, headers["retry-after"]) == (503, "5")
    assert "blog" not in text


def test_a_host_leads_to_its_app_however_it_is_spelled(world: Proxy) -> None:
    for host in ("shop.example.com", "SHOP.Example.com:8080", "shop.example.com.", "shop.example.com.:8080"):
        assert ask(world.spec.http[1], headers={"Host": host})[:2] == (200, "shop.1")


def test_an_unknown_host_gets_404_that_names_no_app(world: Proxy) -> None:
    for host in ("shop", "blog", "other.example.com", ".", "-"):
        status, text, _ = ask(world.spec.http[1], headers={"Host": host})
        assert (status, "shop" in text) == (404, False)


# -- choosing a version -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({HEADER: "v2"}, "shop.2"),
        ({HEADER: "v3"}, "shop.2"),  # held: a person who asks by header knows what they do
        ({"Cookie": "dctl_v=v2"}, "shop.2"),
        ({"Cookie": "a=1; dctl_v=v2; b=2"}, "shop.2"),
        ({"Cookie": "dctl_v=v3"}, "shop.1"),
        ({HEADER: "v4"}, "shop.1"),
        ({HEADER: "v9"}, "shop.1"),
        ({HEADER: "2"}, "shop.1"),
        ({HEADER: ""}, "shop.1"),
        ({HEADER: "v2 "}, "shop.2"),
        ({HEADER: "V2"}, "shop.1"),
        ({HEADER: "v9", "Cookie": "dctl_v=v2"}, "shop.2"),
        ({HEADER: "v1", "Cookie": "dctl_v=v2"}, "shop.1"),
        ({"Cookie": "xdctl_v=v2"}, "shop.1"),
    ],
)
def test_a_header_or_cookie_reaches_a_known_version_only(world: Proxy, headers: dict[str, str], answer: str) -> None:
    assert ask(world.port(SHOP), headers=headers)[:2] == (200, answer)


def test_a_version_can_be_tried_before_anybody_serves(world: Proxy) -> None:
    assert ask(world.port(BLOG), headers={HEADER: "v2"})[:2] == (200, "blog.2")


@pytest.mark.parametrize(
    "want", ["../blog.v1", "x.blog.v1", "blog.v1", "v1\t.blog.1", "1 blog.1", "v1,blog.v1", "." * 5000]
)
def test_no_text_from_outside_reaches_another_app(world: Proxy, want: str) -> None:
    before = len(world.instances["blog.1"].seen)
    assert ask(world.port(SHOP), headers={HEADER: want})[:2] == (200, "shop.1")
    assert ask(world.port(SHOP), headers={"Cookie": f"dctl_v={want}"})[:2] == (200, "shop.1")
    assert len(world.instances["blog.1"].seen) == before


def test_a_version_that_is_called_like_another_apps_server_stays_in_its_app() -> None:
    with proxy() as world:
        odd = replace(backend(SHOP, 2, world.instances["shop.2"].port), version=Version("blog.v1"))
        world.ledger.add(odd)
        world.traffic().switch(SHOP, 1)
        assert ask(world.port(SHOP), headers={HEADER: "blog.v1"})[:2] == (200, "shop.2")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("dctl_v=v3", None),
        ("dctl_v=v9; a=1", "a=1"),
        ("a=1; dctl_v=v9", "a=1"),
        ("a=1; dctl_v=v9; b=2", "a=1; b=2"),
        ("a=1;dctl_v=v9;b=2", "a=1;b=2"),
        ("dctl_v=v9; a=1; dctl_v=v9", "a=1"),
        ("xdctl_v=v9; dctl_vx=1", "xdctl_v=v9; dctl_vx=1"),
        ("a=dctl_v", "a=dctl_v"),
    ],
)
def test_a_cookie_that_was_not_honoured_is_taken_out_and_the_others_stay(
    world: Proxy, sent: str, seen: str | None
) -> None:
    ask(world.port(SHOP), headers={"Cookie": sent})
    assert headers_seen(world, "shop.1").get("cookie") == seen


def test_a_header_that_was_not_honoured_is_taken_out(world: Proxy) -> None:
    ask(world.port(SHOP), headers={HEADER: "v9"})
    assert HEADER.lower() not in headers_seen(world, "shop.1")


def test_only_those_who_may_preview_choose_a_version() -> None:
    spec = ServerSpec(http=("127.0.0.1", free_port()), preview_from=("203.0.113.0/24",))
    with proxy(spec=spec) as world:
        world.traffic().switch(SHOP, 1)
        sent = {HEADER: "v2", "Cookie": "dctl_v=v2; a=1", "X-Forwarded-For": "203.0.113.5"}
        assert ask(world.port(SHOP), headers=sent)[:2] == (200, "shop.1")
        seen = headers_seen(world, "shop.1")
        assert HEADER.lower() not in seen
        assert seen["cookie"] == "a=1"


@pytest.mark.parametrize(
    ("value", "answers"), [("1:2:0", {"shop.1"}), ("1:2:100", {"shop.2"}), ("1:2:50", {"shop.1", "shop.2"})]
)
def test_a_route_may_give_a_share_to_a_second_release(value: str, answers: set[str]) -> None:
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        command(world.home.worker, f"set map route.map shop {value}", timeout=3)
        assert {world.ask()[1] for _ in range(40)} == answers
        assert traffic.routes() == {SHOP: 1}


# -- failures -----------------------------------------------------------------------------------------------------
def test_a_dead_instance_gives_503_and_never_another_ones_answer() -> None:
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        world.instances["shop.1"].end()
        assert world.ask()[0] == 503
        counted = traffic.counters()[SHOP, 1]
        assert (counted.failed, counted.answers_5xx) == (1, 0)
        assert traffic.counters()[SHOP, 2].requests == 0


def test_an_apps_own_error_is_counted_as_its_own() -> None:
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        assert world.ask(path="/fail")[0] == 500
        counted = traffic.counters()[SHOP, 1]
        assert (counted.failed, counted.answers_5xx, counted.requests) == (0, 1, 1)


def test_a_post_is_never_sent_twice(world: Proxy) -> None:
    instance = world.instances["shop.1"]
    before = sum(method == "POST" for method, _, _ in instance.seen)
    assert ask(world.port(SHOP), "/drop", method="POST", body="pay")[0] == 502
    time.sleep(0.2)
    assert sum(method == "POST" for method, _, _ in instance.seen) == before + 1


def test_an_ipv6_address_can_be_listened_on() -> None:
    with proxy() as world:
        port = free_port()
        world.ledger.listen(SHOP, port, address="::1")
        world.traffic().switch(SHOP, 1)
        assert ask(port, address="::1")[:2] == (200, "shop.1")
