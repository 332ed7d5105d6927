"""A key is used once: the second request gets the first one's response, and a day later the key is free again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployctl.domain.host.access import KeptAnswer
from deployctl.ledger.sqlite_ledger import SqliteLedger
from tests.unit.world import world

NOON, LATER, DAY_BEFORE = "2026-01-02T12:00:00.000Z", "2026-01-02T12:00:01.000Z", "2026-01-01T12:00:00.000Z"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with world(tmp_path) as w:
        yield w.ledger


def begin(ledger: SqliteLedger, key: str = "k", *, who: str = "ci (token)", asked: str = "a", at: str = NOON,
          since: str = DAY_BEFORE) -> KeptAnswer | None:
    return ledger.begin_answer(who, key, asked, at=at, since=since)


def test_the_first_takes_the_key_and_the_second_sees_that_there_is_no_answer_yet(ledger: SqliteLedger) -> None:
    assert begin(ledger) is None
    assert begin(ledger, asked="b") == KeptAnswer("a", None, None)


def test_an_answer_is_kept_with_its_body(ledger: SqliteLedger) -> None:
    begin(ledger)
    ledger.finish_answer("ci (token)", "k", status=200, body="{}")
    assert begin(ledger, at=LATER) == KeptAnswer("a", 200, "{}")


def test_a_key_belongs_to_one_principal(ledger: SqliteLedger) -> None:
    assert begin(ledger) is None
    assert begin(ledger, who="mara (web)") is None


def test_what_may_be_tried_again_is_forgotten(ledger: SqliteLedger) -> None:
    begin(ledger)
    ledger.forget_answer("ci (token)", "k")
    assert begin(ledger) is None


def test_a_key_is_free_again_after_its_time_and_what_it_answered_is_gone(ledger: SqliteLedger) -> None:
    begin(ledger)
    ledger.finish_answer("ci (token)", "k", status=200, body="{}")
    assert begin(ledger, asked="b", at="2026-01-03T13:00:00.000Z", since="2026-01-02T13:00:00.000Z") is None
    assert begin(ledger) == KeptAnswer("b", None, None)


def test_answers_from_before_are_cleared_away(ledger: SqliteLedger) -> None:
    begin(ledger)
    begin(ledger, "k2", at=LATER)
    ledger.forget_answers(before=LATER, most=10)
    assert (begin(ledger), begin(ledger, "k2")) == (None, KeptAnswer("a", None, None))


def test_of_many_at_once_one_takes_the_key(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ready = threading.Barrier(8)

        def take(_number: int) -> bool:
            mine = w.open_ledger()
            ready.wait()
            try:
                return begin(mine) is None
            finally:
                mine.close()

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(take, range(8))) == 1


def test_it_survives_the_death_of_the_process(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        begin(w.ledger)
        again = w.open_ledger()
        assert begin(again) == KeptAnswer("a", None, None)
        again.close()
