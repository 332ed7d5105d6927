"""Which pool is whose: one each, the same as long as it is carried, and never one that still has someone else's server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.dataclass import replace
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable, release_of_server, replica_server_id
from deployctl.effects.haproxy.config.maps import maps, placed_backends
from deployctl.effects.haproxy.config.pools import SPARE, leased, pools
from deployctl.errors import Invalid, SwitchRefused

SHOP = AppName("shop")


def table(*releases: int, kept: int | None = None) -> TrafficTable:
    backends = tuple(Backend(SHOP, r, Version(f"v{r}"), replica_server_id(r, n), f"10.0.{r}.{n}", 80, None, part="web.80",
                             replica=n) for r in releases for n in (1, 2))
    return TrafficTable(backends=backends, replicated=len(releases) if kept is None else kept)


def test_a_home_without_replicas_has_no_pools_and_no_map_of_them() -> None:
    plain = TrafficTable(backends=(Backend(SHOP, 1, Version("v1"), 1, "10.0.0.1", 80, None),))
    assert pools(plain) == ()
    assert leased(plain, {}, {}) == plain
    assert "pool.map" not in maps(plain)


@given(st.lists(st.integers(1, 40), unique=True, max_size=20), st.dictionaries(
    st.integers(1, 40).map(lambda r: f"shop.{r}"), st.integers(1, 48).map(lambda n: f"pool{n:02}")))
def test_no_two_releases_ever_share_a_pool_whatever_stood_in_the_map(numbers: list[int], former: dict[str, str]) -> None:
    wanted = table(*numbers, kept=len(numbers) + len(former))
    found = leased(wanted, former, {})
    assert set(found.leases) == {f"shop.{n}" for n in numbers}
    assert len(set(found.leases.values())) == len(found.leases)
    assert set(found.leases.values()) <= set(pools(wanted))
    for way, pool in found.leases.items():
        if former.get(way) in pools(wanted) and list(former.values()).count(former[way]) == 1:
            assert pool == former[way]


def test_a_pool_with_a_server_of_someone_else_is_not_free() -> None:
    found = leased(table(7), {}, {"pool01": ["shop.6.web.80.1"], "pool02": []})
    assert found.leases == {"shop.7": "pool02"}


def test_one_keeps_its_pool_with_its_own_servers_in_it() -> None:
    assert leased(table(7), {"shop.7": "pool03"}, {"pool03": ["shop.7.web.80.1"]}).leases == {"shop.7": "pool03"}


def test_too_few_pools_are_said_and_nothing_is_shared() -> None:
    wanted = table(7)
    with pytest.raises(SwitchRefused, match="no free pool"):
        leased(wanted, {}, {pool: ["x"] for pool in pools(wanted)})


def test_pools_are_added_many_at_once_and_some_are_spare() -> None:
    sizes = [len(pools(table(kept=kept))) for kept in range(60)]
    assert sizes[0] == 0
    assert all(size >= kept + SPARE for kept, size in enumerate(sizes) if kept)
    assert len(set(sizes)) < 7


def test_a_replica_is_placed_in_its_pool_and_found_by_release_and_by_port() -> None:
    found = leased(table(7), {}, {})
    assert [*placed_backends(found)] == ["pool01/shop.7.web.80.1", "pool01/shop.7.web.80.2"]
    assert maps(found)["pool.map"] == {"shop.7": "pool01", "shop.7.web.80": "pool01"}
    with pytest.raises(Invalid, match="no pool"):
        placed_backends(replace(found, leases={}))


@given(st.integers(1, 10**6), st.integers(1, 99))
def test_the_release_of_a_server_id_is_known(release: int, replica: int) -> None:
    assert release_of_server(replica_server_id(release, replica)) == release
