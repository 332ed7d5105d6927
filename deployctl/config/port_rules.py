"""Rules of an app's file about further ports, and about how many of a component there may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from deployctl.domain.images.component import ComponentKind
from deployctl.domain.inputs.addresses import overlap, parse_listen
from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def replica_contradictions(raw: Mapping[str, Any],
                           components: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield the components with replicas of which only one may run at a time. A job says so itself."""
    for key, table in (("", raw), *((f"components.{name}.", one) for name, one in components.items())):
        kind = table.get("kind", ComponentKind.SIDE_BY_SIDE)
        if table.get("replicas") is not None and kind not in {ComponentKind.SIDE_BY_SIDE, ComponentKind.JOB}:
            yield f"{key}replicas", f"is for components of which several may run, and kind is {shown(kind)}.", (
                f"Remove {key}replicas.")


def port_contradictions(raw: Mapping[str, Any], components: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield further ports that lead nowhere, and two addresses of the app that are one."""
    tables = raw.get("ports", {})
    ports = {name: table for name, table in tables.items() if isinstance(table, Mapping)} if isinstance(tables, Mapping) else {}
    taken: list[tuple[str, tuple[str, int]]] = [("listen", found)] if (found := _listen(raw)) else []
    for name, table in ports.items():
        if (other := table.get("component")) is not None and other not in components:
            yield f"ports.{name}.component", f"names {shown(other)}, which is no component that answers requests.", (
                f"Components: {', '.join(sorted(components))}.")
        if listen := _listen(table):
            clash = next((key for key, one in taken if overlap(one, listen)), None)
            if clash:
                yield f"ports.{name}.listen", f"is the address of {clash} already.", "Write another address."
            taken.append((f"ports.{name}.listen", listen))


def _listen(raw: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return the address of a table; None if it has none, or a wrong one, which is reported for itself."""
    value = raw.get("listen")
    if value is None or isinstance(value, tuple):
        return value
    try:
        return parse_listen(value)
    except Invalid:
        return None
