"""What an app learns about its clients: nothing from untrusted addresses, everything from a trusted proxy, the rest
from HAProxy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.trust import LOOPBACK_NETWORKS, DroppedFront, ProxyTrust
from deployctl.effects.haproxy.config import fronts
from tests.proxies import BLOG, SHOP, Proxy, ask, proxy, wait_for
from tests.support import free_port

FORGED = {
    "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "bank.example", "X-Real-IP": "9.9.9.9",
    "Forwarded": "for=6.6.6.6;proto=https", "X-Forwarded-Port": "443", "X-Forwarded-Prefix": "/x", "X_Forwarded_For": "5.5.5.5",
    "X-Forwarded_Proto": "https", "x_real_ip": "9.9.9.9",
}  # fmt: skip
REQUEST = b"GET / HTTP/1.1\r\nHost: NAME\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
ELSEWHERE = ("203.0.113.0/24",)


@contextmanager
def world(*, server: tuple[str, ...] = (), app: ProxyTrust | None = None, protocol: bool = False) -> Iterator[Proxy]:
    """shop and blog serve on addresses of their own, and shop as shop.example.com too; `app` is what shop's file says."""
    spec = ServerSpec(http=("127.0.0.1", free_port()), trusted_proxies=server, proxy_protocol=protocol)
    with proxy(spec=spec) as made:
        trust = {SHOP: app} if app else {}
        made.ledger.table = replace(made.ledger.table, hosts={"shop.example.com": SHOP}, trust=trust)
        made.traffic().switch(SHOP, 1)
        made.traffic().switch(BLOG, 1)
        yield made


def told(made: Proxy, server: str = "shop.1") -> dict[str, list[str]]:
    """Return what that app received last, all values of each header."""
    found: dict[str, list[str]] = {}
    for name, value in made.instances[server].lines[-1]:
        found.setdefault(name.lower(), []).append(value)
    return {name: values for name, values in found.items() if "forwarded" in name or "real" in name}


def own(port: int, *, address: str = "127.0.0.1", proto: str = "http") -> dict[str, list[str]]:
    return {"x-forwarded-for": [address], "x-forwarded-proto": [proto], "x-forwarded-host": [f"127.0.0.1:{port}"]}


def test_a_strangers_word_is_dropped_and_ours_stands_instead() -> None:
    with world() as made:
        assert ask(made.port(SHOP), headers=FORGED)[:2] == (200, "shop.1")
        assert told(made) == own(made.port(SHOP))
        ask(made.spec.http[1], headers={**FORGED, "Host": "shop.example.com"})
        assert told(made) == {**own(0), "x-forwarded-host": ["shop.example.com"]}


def test_without_a_host_none_is_told() -> None:
    with world() as made:
        say(made.port(SHOP), b"GET / HTTP/1.0\r\n\r\n")
        assert told(made) == {"x-forwarded-for": ["127.0.0.1"], "x-forwarded-proto": ["http"]}


@pytest.mark.parametrize("trust", [{"server": LOOPBACK_NETWORKS}, {"server": ELSEWHERE, "app": ProxyTrust(LOOPBACK_NETWORKS)}])
def test_a_trusted_proxys_word_is_kept_and_ours_is_added(trust: dict[str, object]) -> None:
    sent = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
            "Forwarded": "for=1.2.3.4"}  # fmt: skip
    with world(**trust) as made:  # type: ignore[arg-type]
        ask(made.port(SHOP), headers=sent)
        assert told(made) == {
            "x-forwarded-for": ["1.2.3.4", "127.0.0.1"], "x-forwarded-proto": ["https"],
            "x-forwarded-host": ["shop.example"], "forwarded": ["for=1.2.3.4"],
        }  # fmt: skip
        ask(made.port(SHOP))
        assert told(made) == own(made.port(SHOP))


@pytest.mark.parametrize("networks", [(), ELSEWHERE])
def test_an_apps_own_list_counts_instead_of_the_servers(networks: tuple[str, ...]) -> None:
    with world(server=LOOPBACK_NETWORKS, app=ProxyTrust(networks)) as made:
        ask(made.port(SHOP), headers=FORGED)
        assert told(made) == own(made.port(SHOP))
        ask(made.port(BLOG), headers={"X-Forwarded-For": "1.2.3.4"})
        assert told(made, "blog.1")["x-forwarded-for"] == ["1.2.3.4", "127.0.0.1"]


def test_a_list_may_be_longer_than_a_line_of_haproxy() -> None:
    with world(server=tuple(f"10.{n}.0.0/16" for n in range(200)) + LOOPBACK_NETWORKS) as made:
        ask(made.port(SHOP), headers={"X-Forwarded-Proto": "https"})
        assert told(made)["x-forwarded-proto"] == ["https"]


# -- the PROXY protocol -----------------------------------------------------------------------------------------
def say(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def proxied(port: int, *, to: int = 80, line: str = "PROXY TCP4 198.51.100.7 203.0.113.1 4711", host: str = "x") -> bytes:
    return say(port, f"{line} {to}\r\n".encode() + REQUEST.replace(b"NAME", host.encode()))


def test_a_trusted_front_says_who_asks_by_the_proxy_protocol() -> None:
    with world(app=ProxyTrust(LOOPBACK_NETWORKS, proxy_protocol=True)) as made:
        assert proxied(made.port(SHOP)).endswith(b"shop.1")
        assert told(made) == {"x-forwarded-for": ["198.51.100.7"], "x-forwarded-proto": ["http"], "x-forwarded-host": ["x"]}
        proxied(made.port(SHOP), to=443)
        assert told(made)["x-forwarded-proto"] == ["https"]
        proxied(made.port(SHOP), line="PROXY TCP6 2001:db8::7 2001:db8::1 4711")
        assert told(made)["x-forwarded-for"] == ["2001:db8::7"]
        assert ask(made.port(BLOG))[:2] == (200, "blog.1")
        assert b"400" in proxied(made.port(BLOG)).partition(b"\r\n")[0]


def test_what_a_trusted_front_must_say_first_a_request_alone_does_not_replace() -> None:
    with world(app=ProxyTrust(LOOPBACK_NETWORKS, proxy_protocol=True)) as made:
        with suppress(ConnectionResetError):
            assert say(made.port(SHOP), REQUEST) == b""
        assert made.instances["shop.1"].seen == []


def test_nobody_else_may_speak_it() -> None:
    with world(app=ProxyTrust(ELSEWHERE, proxy_protocol=True)) as made:
        assert b"400" in proxied(made.port(SHOP)).partition(b"\r\n")[0]
        assert made.ask(SHOP) == (200, "shop.1")


def test_the_address_of_hosts_speaks_it_by_the_servers_word_alone() -> None:
    with world(server=LOOPBACK_NETWORKS, protocol=True) as made:
        assert proxied(made.spec.http[1], host="shop.example.com").endswith(b"shop.1")
        assert told(made)["x-forwarded-for"] == ["198.51.100.7"]
        assert made.ask(SHOP) == (200, "shop.1")


def test_an_app_may_speak_it_with_the_servers_networks() -> None:
    with world(server=LOOPBACK_NETWORKS, app=ProxyTrust(proxy_protocol=True)) as made:
        assert proxied(made.port(SHOP)).endswith(b"shop.1")
        assert told(made)["x-forwarded-for"] == ["198.51.100.7"]


# -- both families on one listen --------------------------------------------------------------------------------
def test_an_ipv4_visitor_of_a_listen_for_both_families_is_told_as_ipv4() -> None:
    with world() as made:
        port = free_port()
        made.ledger.listen(SHOP, port, address="::")
        made.traffic().sync()
        ask(port)
        assert told(made) == own(port)
        ask(port, address="::1")
        assert told(made)["x-forwarded-for"] == ["::1"]


def test_networks_of_ipv4_mean_its_ipv4_visitors_as_well() -> None:
    with world(app=ProxyTrust(("127.0.0.0/8",))) as made:
        port = free_port()
        made.ledger.listen(SHOP, port, address="::")
        made.traffic().sync()
        ask(port, headers={"X-Forwarded-Proto": "https"})
        assert told(made)["x-forwarded-proto"] == ["https"]
        ask(port, address="::1", headers={"X-Forwarded-Proto": "https"})
        assert told(made)["x-forwarded-proto"] == ["http"]


# -- a front that nobody spoke of -------------------------------------------------------------------------------
def test_a_front_on_this_machine_whose_headers_are_dropped_is_noticed() -> None:
    with world() as made:
        traffic = made.traffic()
        ask(made.port(SHOP), headers={"X-Forwarded-Proto": "https"})
        assert traffic.dropped_fronts() == {}
        ask(made.port(SHOP), headers={"X-Forwarded-For": "1.2.3.4"})
        assert set(traffic.dropped_fronts()) == {SHOP}
        assert traffic.drift() == []
        made.ledger.table = replace(made.ledger.table, trust={SHOP: ProxyTrust(LOOPBACK_NETWORKS)})
        traffic.sync()
        ask(made.port(SHOP), headers={"X-Forwarded-For": "1.2.3.4"})
        assert traffic.dropped_fronts() == {}
        ask(made.port(AppName("blog")), headers={"X-Forwarded-For": "1.2.3.4"})
        wait_for(lambda: set(traffic.dropped_fronts()) == {BLOG})


def test_what_stood_in_front_of_0_1_0_is_presumed_until_somebody_says_whom_to_believe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "find_web_server", lambda *, but: "nginx (pid 812)")
    with world() as made:
        traffic = made.traffic()
        assert traffic.dropped_fronts() == {}, "nothing stood here before"
        (made.folder / "front.map").unlink()
        text = made.home.config.read_text(encoding="utf-8")
        made.home.config.write_text("".join(line for line in text.splitlines(keepends=True) if "front" not in line))
        traffic.sync()
        assert set(traffic.dropped_fronts().values()) == {DroppedFront("nginx (pid 812)", seen=False)}
        ask(made.port(SHOP), headers={"X-Forwarded-For": "1.2.3.4"})
        assert traffic.dropped_fronts()[SHOP] == DroppedFront("nginx (pid 812)")
        made.ledger.table = replace(made.ledger.table, trust={SHOP: ProxyTrust(LOOPBACK_NETWORKS), BLOG: ProxyTrust(())})
        traffic.sync()
        assert traffic.dropped_fronts() == {}


def test_a_haproxy_that_cannot_notice_has_noticed_nothing() -> None:
    with world() as made:
        made.traffic().stop()
        assert made.traffic().dropped_fronts() == {}
