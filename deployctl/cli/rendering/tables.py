"""Tables that never wrap: columns that do not fit are dropped from the right. The same table is also written as TSV."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.terminal import TerminalStyle
from deployctl.dataclass import dataclass

COLUMN_GAP = "  "
NONE = "–"  # there is no value
SHORTEST = 12  # columns that an elastic column needs to be worth showing


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    right: bool = False  # figures stand under each other
    wide: bool = False  # only in wide and tsv
    elastic: bool = False  # may be cut with … where the terminal ends


@dataclass(frozen=True, slots=True)
class TextTable:
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def lay_out(table: TextTable, look: TerminalStyle, *, indent: int = 0) -> list[str]:
    """Return header and rows, none wider than the terminal."""
    shown = [i for i, column in enumerate(table.columns) if look.wide or not column.wide]
    cells = [[look.say(text) for text in row] for row in ([c.title for c in table.columns], *table.rows)]
    widths = _fit([max(breadth(row[i]) for row in cells) for i in shown], [table.columns[i] for i in shown],
                  None if look.width is None else look.width - indent)
    columns = [table.columns[i] for i in shown[: len(widths)]]
    picked = ([row[i] for i in shown[: len(widths)]] for row in cells)
    return [" " * indent + _line(row, widths, columns, look) for row in picked]


def _fit(widths: list[int], columns: Sequence[Column], room: int | None) -> list[int]:
    """Return the widths of the columns that fit, from the left."""
    while room is not None and (over := sum(widths) + len(COLUMN_GAP) * (len(widths) - 1) - room) > 0:
        if len(widths) == 1 or (columns[len(widths) - 1].elastic and widths[-1] - over >= SHORTEST):
            return [*widths[:-1], max(widths[-1] - over, 1)]
        widths = widths[:-1]
    return widths


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column], look: TerminalStyle) -> str:
    cells = (_padded(_cut(text, width, look), width, right=column.right)
             for text, width, column in zip(row, widths, columns, strict=True))
    return COLUMN_GAP.join(cells).rstrip()


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - breadth(text))
    return space + text if right else text + space


def _cut(text: str, width: int, look: TerminalStyle) -> str:
    if breadth(text) <= width:
        return text
    mark = look.say("…")
    while text and breadth(text) > width - len(mark):
        text = text[:-1]
    return (text + mark)[:width] if text.isascii() else text + mark


def breadth(text: str) -> int:
    """Return the width of the text on a terminal, in columns."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def tsv(table: TextTable, look: TerminalStyle) -> list[str]:
    """Return all columns, one row per line; a tab inside a cell is escaped, and a missing value is an empty cell."""
    rows = ([column.title.lower() for column in table.columns], *table.rows)
    return ["\t".join("" if text == NONE else look.say(text.strip()) for text in row) for row in rows]
