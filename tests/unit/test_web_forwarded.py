"""Who asks behind proxies: the word of those that web.proxies names counts, and a forged way ends where it is forged."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from deployctl_web.security.proxy_headers import CLAIMS, HOPS, MOST_HOPS, Forwarded, find_asker

OURS = ("127.0.0.1/32", "10.0.0.0/24", "fd00::/8")


@pytest.mark.parametrize(("address", "hops", "asker"), [
    ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
    ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first was made up
    ("127.0.0.1", "203.0.113.7, 10.0.0.9", "203.0.113.7"),  # two proxies of ours
    ("127.0.0.1", "203.0.113.7,10.0.0.9 ,  127.0.0.1", "203.0.113.7"),
    ("127.0.0.1", "", "127.0.0.1"),  # asked from the server itself
    ("127.0.0.1", "10.0.0.9", "10.0.0.9"),
    ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # an untrusted client that claims to be a proxy
    ("127.0.0.1", "unknown", "127.0.0.1"),
    ("127.0.0.1", "203.0.113.7, _hidden", "127.0.0.1"),
    ("127.0.0.1", "203.0.113.7, , ", "127.0.0.1"),
    ("127.0.0.1", "127.0.0.1\r\nX: y", "127.0.0.1"),
    ("::ffff:127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
    ("fd00::1", "2001:DB8::7", "2001:db8::7"),
    ("127.0.0.1", ", ".join(["203.0.113.7", *["10.0.0.9"] * MOST_HOPS]), "10.0.0.9"),  # too long a way to believe
])  # fmt: skip
def test_the_last_address_that_is_no_proxy_of_ours_asks(address: str, hops: str, asker: str) -> None:
    assert find_asker(address, hops, [ip_network(one) for one in OURS]) == asker


@pytest.mark.parametrize(("proxies", "address"), [(OURS, "203.0.113.7"), (("10.0.0.0/24",), "127.0.0.1"), ((), "127.0.0.1")])
def test_the_application_sees_one_address_and_no_claim(proxies: tuple[str, ...], address: str) -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], _start: object) -> list[bytes]:
        seen.update(environ)
        return []

    told = dict.fromkeys(CLAIMS, "for=198.51.100.1") | {HOPS: "198.51.100.1, 203.0.113.7"}
    Forwarded(app, proxies)({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "x", **told}, lambda *_: lambda _: None)
    assert seen == {"REMOTE_ADDR": address, "HTTP_HOST": "x"}
