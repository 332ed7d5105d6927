"""What a page reads of the ledger is read once, and again after anybody has written to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.images.release import Hold
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Ledger
from deployctl_web.live import page_reads
from deployctl_web.live.page_reads import PageReads
from tests.unit.web_world import Site, site

SHOP = AppName("shop")
HOLD = Hold("2026-01-01T12:00:00.000Z", "mara", "broken badly", 2)


class Counting:
    """A ledger that counts what it is asked."""

    def __init__(self, ledger: Any) -> None:
        self._ledger, self.asked = ledger, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._ledger, name)

        def counted(*words: Any, **named: Any) -> Any:
            self.asked[name] += 1
            return read(*words, **named)

        return counted


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1", "v2") as made:
        yield made


def read(ledger: Ledger) -> list[object]:
    return [ledger.find_release(SHOP, 1), ledger.releases(SHOP, limit=5), ledger.changes(SHOP, limit=5)]


def test_what_was_read_is_kept_and_is_what_the_ledger_says(shop: Site) -> None:
    counting: Any = Counting(shop.w.ledger)
    reads = PageReads(counting)
    assert read(reads.ledger()) == read(reads.ledger()) == read(shop.w.ledger)
    assert (counting.asked["find_release"], counting.asked["releases"], counting.asked["changes"]) == (1, 1, 1)
    assert 0 < reads.bytes <= page_reads.ROOM


def test_another_question_is_another_answer(shop: Site) -> None:
    ledger = PageReads(shop.w.ledger).ledger()
    assert len(ledger.releases(SHOP, limit=1)) == 1
    assert len(ledger.releases(SHOP, limit=2)) == 2
    assert ledger.find_release(SHOP, 1) != ledger.find_release(SHOP, 2)
    assert ledger.find_release(SHOP, 3) is None


@pytest.mark.parametrize("own", [True, False], ids=["by the same connection", "by another one"])
def test_after_anybody_has_written_it_is_read_again(shop: Site, *, own: bool) -> None:
    with shop.web_state.pool.lend("mara") as first, shop.web_state.pool.lend("jonas") as second:
        reads = PageReads(first.ledger)
        before = reads.ledger().find_release(SHOP, 1)
        writer = first if own else second
        writer.ledger.set_hold(SHOP, Version("v1"), None, HOLD)
        after = reads.ledger().find_release(SHOP, 1)
    assert before is not None
    assert after is not None
    assert (before.hold, after.hold is not None) == (None, True)


def test_a_lease_is_asked_for_each_time(shop: Site) -> None:
    ledger = PageReads(shop.w.ledger).ledger()
    assert ledger.find_lease(SHOP) is None
    shop.w.ledger.take_lease(SHOP, holder="mara", verb="upgrade", at=shop.w.clock.utc())
    assert ledger.find_lease(SHOP) is not None


def test_a_page_shows_a_hold_as_soon_as_it_is_made(shop: Site) -> None:
    mara = shop.signed_in("mara")
    assert HOLD.reason not in mara.get("/apps/shop").text
    shop.w.ledger.set_hold(SHOP, Version("v1"), None, HOLD)
    assert HOLD.reason in mara.get("/apps/shop").text
