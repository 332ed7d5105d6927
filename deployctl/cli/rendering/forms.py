"""Output for programs: JSON on one line, and tab-separated cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.inputs.plain_text import inert_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.cli.rendering.tables import TextTable


def json_line(answer: Mapping[str, Any], look: TerminalStyle) -> str:
    """Return the JSON on one line, in ASCII if the stream is not UTF-8. Terminal control characters are always escaped."""
    return inert_json(json.dumps(answer, ensure_ascii=not look.utf8)) + "\n"


def tsv_lines(as_json: Callable[[], Mapping[str, Any]], table: Callable[[TerminalStyle], TextTable] | None,
               look: TerminalStyle) -> list[str]:
    """Return the table; without one, the scalar fields of the JSON as a header and a row."""
    from deployctl.cli.rendering.tables import Column, TextTable, tsv

    if table is not None:
        return tsv(table(look), look)
    plain = {k: v for k, v in as_json().items() if not isinstance(v, dict | list)}
    cells = tuple(v if isinstance(v, str) else json.dumps(v) for v in plain.values())
    return tsv(TextTable(tuple(Column(name) for name in plain), (cells,)), look)
