"""Every app gets a /26 that overlaps nothing that this host knows."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from deployctl.domain.subnets import next_subnet
from deployctl.errors import Refused

POOL = "172.30.0.0/16"


def test_the_first_free_one_is_taken_and_its_first_address_is_the_bridge() -> None:
    assert next_subnet(POOL, []) == ("172.30.0.0/26", "172.30.0.1")
    assert next_subnet(POOL, ["172.30.0.0/26"]) == ("172.30.0.64/26", "172.30.0.65")


@pytest.mark.parametrize("taken", ["172.30.0.0/24", "172.30.0.200/32", "172.30.0.5/24", "172.30.0.128/25"])
def test_whatever_overlaps_is_stepped_over_of_any_size_and_with_host_bits(taken: str) -> None:
    found, _ = next_subnet("172.30.0.0/23", [taken])
    assert not IPv4Network(found).overlaps(IPv4Network(taken, strict=False))


def test_routes_elsewhere_and_ipv6_do_not_matter() -> None:
    assert next_subnet(POOL, ["10.0.0.0/8", "fd00::/8", "192.168.1.1/32"])[0] == "172.30.0.0/26"


def test_many_apps_never_share_one() -> None:
    taken: list[str] = []
    for _ in range(100):
        taken.append(next_subnet(POOL, taken)[0])
    assert not any(IPv4Network(a).overlaps(IPv4Network(b)) for a in taken for b in taken if a != b)


@pytest.mark.parametrize("taken", [["172.30.0.0/16"], ["0.0.0.0/0"], ["172.30.0.0/26", "172.30.0.64/26"]])
def test_a_pool_that_is_used_up_is_refused_with_the_key_to_change(taken: list[str]) -> None:
    with pytest.raises(Refused, match=r"172\.30\.0\.0/25") as refused:
        next_subnet("172.30.0.0/25", taken)
    assert "[network] pool" in refused.value.remedy[0]
