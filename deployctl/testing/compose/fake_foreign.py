"""Containers of others, as a fake engine has them."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.dataclass import replace
from deployctl.domain.compose.gaps import ImportGap
from deployctl.errors import NotFound
from deployctl.ports.foreign import ForeignContainer, TakeOver


class FakeForeigners:
    """`here`: what exists, by id."""

    def __init__(self, *here: ForeignContainer) -> None:
        self.here = {one.id: one for one in here}

    def of_project(self, project: str) -> list[ForeignContainer]:
        return sorted((one for one in self.here.values() if one.project == project), key=lambda one: one.name)

    def users_of(self, volume: str) -> list[ForeignContainer]:
        return [one for one in self.here.values() if one.running and volume in one.volumes]

    def set_restart(self, container: ForeignContainer, policy: str, retries: int = 0) -> None:
        if (found := self.here.get(container.id)) is not None:
            self.here[found.id] = replace(found, restart=policy, retries=retries)

    def ensure_stopped(self, container: ForeignContainer) -> None:
        if (found := self.here.get(container.id)) is not None:
            self.here[found.id] = replace(found, running=False)

    def ensure_started(self, container: ForeignContainer) -> None:
        if container.id not in self.here:
            raise NotFound(f"the container {container.name} is gone", remedy=["docker ps -a"])
        self.here[container.id] = replace(self.here[container.id], running=True)


class FakeImports:
    def __init__(self) -> None:
        self.open: dict[str, TakeOver] = {}
        self.open_gaps: dict[str, tuple[ImportGap, ...]] = {}

    def find(self, app: str) -> TakeOver | None:
        return self.open.get(app)

    def put(self, one: TakeOver) -> None:
        self.open[one.app] = one

    def drop(self, app: str) -> None:
        self.open.pop(app, None)

    def gaps(self, app: str) -> tuple[ImportGap, ...]:
        return self.open_gaps.get(app, ())

    def keep_gaps(self, app: str, gaps: Sequence[ImportGap]) -> None:
        self.open_gaps[app] = tuple(gaps)
