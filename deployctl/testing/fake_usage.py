"""Resource usage of containers, as set by a test."""

from __future__ import annotations

from deployctl.ports import ContainerFacts
from deployctl.ports.metrics import Usage, UsageReader

IDLE_USAGE = Usage(cpu_seconds=0.05, memory=8 * 2**20, memory_limit=512 * 2**20)


class FakeUsage(UsageReader):
    """The part of an engine that reports it; `usages` is by container id, and others are idle."""

    usages: dict[str, Usage]

    def find_container(self, container: str) -> ContainerFacts | None:
        raise NotImplementedError

    def usage(self, container: str) -> Usage | None:
        found = self.find_container(container)
        return self.usages.get(found.id, IDLE_USAGE) if found and found.running else None
