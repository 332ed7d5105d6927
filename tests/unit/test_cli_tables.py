"""A table is never wider than its terminal; what does not fit drops from the right."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.cli.rendering.tables import Column, TextTable, breadth, lay_out, tsv
from deployctl.cli.terminal import TerminalStyle

PEOPLE = TextTable(
    (Column("APP"), Column("REV", right=True), Column("CONTAINER", wide=True), Column("NOTE", elastic=True)),
    (("shop", "7", "4be07d52", "a note that goes on and on and on"), ("web-front", "118", "9f3c1a7e", "–")),
)


def test_figures_stand_under_each_other_and_lines_end_with_their_text() -> None:
    assert lay_out(PEOPLE, TerminalStyle()) == [
        "APP        REV  NOTE",
        "shop         7  a note that goes on and on and on",
        "web-front  118  –",
    ]


def test_wide_shows_every_column() -> None:
    assert lay_out(PEOPLE, TerminalStyle(wide=True))[0] == "APP        REV  CONTAINER  NOTE"


def test_an_elastic_column_is_cut_where_the_terminal_ends() -> None:
    assert lay_out(PEOPLE, TerminalStyle(width=32))[1] == "shop         7  a note that goe…"
    assert lay_out(PEOPLE, TerminalStyle(width=32, utf8=False))[1] == "shop         7  a note that g..."


def test_a_column_that_does_not_fit_drops_from_the_right() -> None:
    assert lay_out(PEOPLE, TerminalStyle(width=20)) == ["APP        REV", "shop         7", "web-front  118"]
    assert lay_out(PEOPLE, TerminalStyle(width=9)) == ["APP", "shop", "web-front"]


@given(st.lists(st.lists(st.text(alphabet=string.ascii_letters + " 商店→", max_size=30), min_size=3, max_size=3),
                max_size=4), st.integers(1, 100), st.booleans())
def test_no_line_is_ever_wider_than_the_terminal(rows: list[list[str]], width: int, elastic: bool) -> None:
    table = TextTable((Column("A"), Column("B", right=True), Column("C", elastic=elastic)), tuple(map(tuple, rows)))
    assert all(breadth(line) <= width for line in lay_out(table, TerminalStyle(width=width)))


@pytest.mark.parametrize("indent", [0, 2])
def test_an_indent_counts(indent: int) -> None:
    assert max(map(breadth, lay_out(PEOPLE, TerminalStyle(width=40), indent=indent))) <= 40


def test_tsv_has_every_column_and_no_stray_tab() -> None:
    table = TextTable((Column("A"), Column("B", wide=True)), (("x\ty\nz", "–"),))
    assert tsv(table, TerminalStyle(width=5)) == ["a\tb", "x\\ty\\nz\t"]
