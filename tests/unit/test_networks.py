"""Every app gets a /24 that overlaps nothing that this host knows; a narrow pool gives less, and containers lease from it."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from deployctl.domain.host.networks import ADDRESSES, AppNetwork, cut, find_taken
from deployctl.domain.host.server import ServerSpec
from deployctl.errors import Refused

POOL = "172.30.0.0/16"
OURS = AppNetwork("n", "b", "172.30.5.0/24", "172.30.5.1", "172.30.5.240/28")
FORMER = AppNetwork("n", "b", "172.30.0.0/26", "172.30.0.1")


def test_the_first_free_one_is_taken_its_first_address_is_the_bridge_and_its_last_ones_the_engines() -> None:
    assert cut(POOL, []) == ("172.30.0.0/24", "172.30.0.1", "172.30.0.240/28")
    assert cut(POOL, ["172.30.0.0/26"]) == ("172.30.1.0/24", "172.30.1.1", "172.30.1.240/28")


@pytest.mark.parametrize("taken", ["172.30.0.0/24", "172.30.0.200/32", "172.30.0.5/24", "172.30.0.128/25"])
def test_whatever_overlaps_is_stepped_over_of_any_size_and_with_host_bits(taken: str) -> None:
    assert cut("172.30.0.0/23", [taken])[0] == "172.30.1.0/24"


def test_routes_elsewhere_and_ipv6_do_not_matter() -> None:
    assert cut(POOL, ["10.0.0.0/8", "fd00::/8", "192.168.1.1/32"])[0] == "172.30.0.0/24"


def test_the_default_pool_is_wide_enough_for_a_thousand_apps_that_never_share_one() -> None:
    pool = IPv4Network(ServerSpec().pool)
    taken = [str(one) for one in pool.subnets(new_prefix=24)][:999]
    subnet, *_ = cut(str(pool), taken)
    assert IPv4Network(subnet).prefixlen == 24
    assert not any(IPv4Network(subnet).overlaps(IPv4Network(other)) for other in taken)


@pytest.mark.parametrize(("pool", "taken", "found"), [
    ("172.30.0.0/24", ["172.30.0.0/26"], "172.30.0.128/25"),
    ("172.30.0.0/24", ["172.30.0.0/26", "172.30.0.128/26"], "172.30.0.64/26"),
    ("172.30.0.0/25", [], "172.30.0.0/25"),
    ("172.30.0.0/26", [], "172.30.0.0/26"),
])
def test_a_narrow_pool_gives_what_it_has(pool: str, taken: list[str], found: str) -> None:
    subnet, gateway, own = cut(pool, taken)
    assert subnet == found
    assert IPv4Network(own).subnet_of(IPv4Network(subnet))
    assert gateway == str(IPv4Network(subnet)[1])


@pytest.mark.parametrize("taken", [["172.30.0.0/16"], ["0.0.0.0/0"], ["172.30.0.0/26", "172.30.0.64/26"]])
def test_a_pool_that_is_used_up_is_refused_with_the_key_to_change(taken: list[str]) -> None:
    with pytest.raises(Refused, match=r"172\.30\.0\.0/25") as refused:
        cut("172.30.0.0/25", taken)
    assert "[network] pool" in refused.value.remedy[0]


def test_what_the_engine_picks_by_itself_is_never_leased() -> None:
    found = OURS.addresses()
    assert (len(found), found[0], found[-1]) == (ADDRESSES, "172.30.5.2", "172.30.5.239")
    assert (len(FORMER.addresses()), FORMER.addresses()[-1]) == (61, "172.30.0.62")


@pytest.mark.parametrize(("subnets", "routes", "found"), [
    ([], [], None),
    (["172.30.4.0/24", "172.31.0.0/16"], ["172.16.0.0/12"], None),  # a wider route does not matter
    (["172.30.0.0/16"], [], "172.30.0.0/16"),
    (["172.30.5.77/32"], [], "172.30.5.77/32"),
    ([], ["172.30.5.0/25"], "172.30.5.0/25"),
])
def test_a_subnet_that_somebody_else_has_by_now_is_told(subnets: list[str], routes: list[str], found: str | None) -> None:
    assert find_taken(OURS, subnets=subnets, routes=routes) == found
