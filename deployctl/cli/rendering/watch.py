"""The text of `reconcile`: each drift, and what was done about it."""

from __future__ import annotations

from deployctl.cli.rendering.tables import Column, TextTable
from deployctl.cli.terminal import TerminalStyle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.usecases.change.reconcile import Reconciled, RepairDone


def reconciled_text(found: Reconciled, look: TerminalStyle) -> list[str]:
    """Return the lines for each drift, and a final one with the result."""
    lines = [text for line in found.lines for text in _line(line, look, dry_run=found.dry_run)]
    if not found.lines:
        return [f"{look.good} No drift. Nothing to do."]
    if found.dry_run:
        return [*lines, "Nothing was changed."]
    if found.left:
        return [*lines, f"{look.warn} {len(found.left)} of {len(found.lines)} {'is' if len(found.left) == 1 else 'are'} left."]
    return [*lines, f"{look.good} All drift is repaired."]


def _line(line: RepairDone, look: TerminalStyle, *, dry_run: bool) -> list[str]:
    if dry_run:
        return [f"{look.warn} {line.summary}", f"    {f'Would {line.repair}' if line.repair else line.why}"]
    if line.done:
        return [f"{look.good} {line.summary}", f"    Done: {line.repair}"]
    return [f"{look.bad if line.repair else look.warn} {line.summary}",
            *([f"    Not done ({line.repair or 'no repair'}): {line.why}"] if line.says_more else [])]


def reconciled_table(found: Reconciled) -> TextTable:
    columns = (Column("APP"), Column("KIND"), Column("DONE"), Column("REPAIR"), Column("SENTENCE"), Column("WHY"))
    return TextTable(columns, tuple((line.app or "", line.kind, "yes" if line.done else "no", line.repair or "", line.summary,
                                 line.why) for line in found.lines))
