"""What a call takes and gives, by name: the models are loaded when a call is checked or the document is made.

They and pydantic take 10 MB, which a dashboard that is only looked at, or that only follows, does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from deployctl.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """One class: of that name in the module, or in a dict of the module where `table` names one."""

    module: str
    name: str
    table: str = ""

    def load(self) -> type[Any]:
        found = import_module(self.module)
        loaded: type[Any] = getattr(found, self.table)[self.name] if self.table else getattr(found, self.name)
        return loaded


class Models:
    """The classes of a module of ours: `Models("a.b").Name` is not loaded yet."""

    def __init__(self, module: str, table: str = "") -> None:
        self._module, self._table = f"{__package__}.{module}", table

    def __getattr__(self, name: str) -> Model:
        return self[name]

    def __getitem__(self, name: str) -> Model:
        return Model(self._module, name, self._table)
