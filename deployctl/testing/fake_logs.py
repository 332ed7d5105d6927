"""Kept logs in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName
from deployctl.ports import LogLine


class FakeKeptLogs:
    def __init__(self) -> None:
        self.kept: dict[tuple[AppName, InstanceId], list[LogLine]] = {}

    def keep(self, app: AppName, one: InstanceId, lines: Iterable[LogLine]) -> None:
        found = [*self.kept.get((app, one), ()), *lines]
        if found:
            self.kept[app, one] = found

    def find(self, app: AppName, one: InstanceId) -> Sequence[LogLine]:
        return self.kept.get((app, one), ())

    def releases(self, app: AppName) -> Sequence[int]:
        return sorted({one.release for of, one in self.kept if of == app})

    def forget(self, app: AppName) -> None:
        self.kept = {key: lines for key, lines in self.kept.items() if key[0] != app}
