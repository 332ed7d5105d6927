"""Whether a version can be rolled back to, as briefly as a table or a line allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deployctl.cli.rendering.tables import NONE, Column, TextTable
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.change.readiness import How, Readiness
from deployctl.domain.durations import took


def ready_cell(one: Readiness | None) -> str:
    """Return a table cell."""
    if one is None:
        return NONE
    if not one.ready:
        return "no"
    return "instant" if one.how is How.WARM else f"{one.how}{_about(one)}"


def ready_words(one: Readiness) -> str:
    """Return what a rollback to it would take: `under a second`, `boots first, about 6.0 s`."""
    if not one.ready:
        return f"not possible: {one.why}"
    if one.how is How.WARM:
        return "under a second"
    first = "pulls its image, then boots" if one.how is How.PULL else "boots first"
    return first + _about(one)


def _about(one: Readiness) -> str:
    return "" if one.seconds is None else f", about {took(one.seconds * 1000)}"


def ready_table(some: Sequence[Readiness]) -> TextTable:
    columns = Column("ROLLBACK TO"), Column("HOW"), Column("NOTE", elastic=True)
    several = Counter(one.version for one in some)
    names = [f"{one.version}@{one.release}" if several[one.version] > 1 else one.version for one in some]
    return TextTable(columns, tuple((name, ready_cell(one), one.why or "") for name, one in zip(names, some, strict=True)))


def ready_line(one: Readiness, app: str, look: TerminalStyle, *, name: str | None = None) -> str:
    """Return one line of a list: the version, its readiness and the command; `name` if the version is ambiguous."""
    sign = look.good if one.ready else look.bad
    remark = f" ({one.why})" if one.ready and one.why else ""
    command = f"   deployctl rollback {app} {name or one.version}" if one.ready else ""
    return f"{sign} {name or one.version}: {ready_words(one)}{remark}{command}"
