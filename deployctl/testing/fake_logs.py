"""Kept logs in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployctl.domain.inputs.names import AppName
from deployctl.ports import LogLine


class FakeKeptLogs:
    def __init__(self) -> None:
        self.kept: dict[tuple[AppName, int], list[LogLine]] = {}

    def keep(self, app: AppName, release: int, lines: Iterable[LogLine]) -> None:
        found = [*self.kept.get((app, release), ()), *lines]
        if found:
            self.kept[app, release] = found

    def find(self, app: AppName, release: int) -> Sequence[LogLine]:
        return self.kept.get((app, release), ())

    def releases(self, app: AppName) -> Sequence[int]:
        return sorted(number for of, number in self.kept if of == app)

    def forget(self, app: AppName) -> None:
        self.kept = {key: lines for key, lines in self.kept.items() if key[0] != app}
