"""A reason added after a switch of traffic: it is attached to the change, and the history is not edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.inputs.plain_text import MAX_NOTE_CHARACTERS
from deployctl.errors import Invalid, NotFound, StateChanged
from deployctl.usecases.change.annotate import annotate
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.activity import recent
from deployctl.usecases.view.history import history
from tests.unit.web_world import site
from tests.unit.world import SHOP, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_a_reason_told_later_stands_beside_the_change_and_the_change_is_as_it_was(w: World) -> None:
    w.upgraded("v1", "v2").rollback()
    annotate(SHOP, w.s, options=ChangeOptions("checkout 500s", if_revision=3))
    lines = history(SHOP, w.s).lines
    assert [line.change.note for line in lines] == ["checkout 500s", "", ""]
    assert [deed.note for deed in recent(SHOP, w.s) if deed.revision == 3] == ["checkout 500s"]
    assert [change.note for change in w.ledger.changes(SHOP)] == ["", "", ""]
    assert w.ledger.find_faults() == []


def test_what_was_said_at_once_stays_and_the_newest_of_what_was_said_later_follows(w: World) -> None:
    w.upgrade("v1", note="the first one")
    for text in ("it was late", "it was early"):
        annotate(SHOP, w.s, options=ChangeOptions(text))
    assert history(SHOP, w.s).lines[0].change.note == "the first one; it was early"


def test_a_remark_on_another_change_than_the_last_an_empty_one_and_a_long_one_are_refused(w: World) -> None:
    with pytest.raises(NotFound):
        annotate(SHOP, w.s, options=ChangeOptions("why"))
    w.upgraded("v1", "v2")
    with pytest.raises(StateChanged):
        annotate(SHOP, w.s, options=ChangeOptions("why", if_revision=1))
    for text in ("", "  \n", "x" * (MAX_NOTE_CHARACTERS + 1)):
        with pytest.raises(Invalid, match=r"is not a (?:note|reason)"):
            annotate(SHOP, w.s, options=ChangeOptions(text))
    assert [line.change.note for line in history(SHOP, w.s).lines] == ["", ""]


def test_the_page_asks_why_beside_the_last_change_until_somebody_has_said(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2") as shop:
        mara = shop.signed_in("mara")
        assert mara.get("/apps/shop").text.count("Why was traffic switched?") == 1
        assert mara.post("/apps/shop/remark", note="<b>new</b> look", revision="2").status_code == 303
        page = mara.get("/apps/shop").text
        assert "Why was traffic switched?" not in page
        assert "&lt;b&gt;new&lt;/b&gt; look" in page
