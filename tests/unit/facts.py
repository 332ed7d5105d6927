"""Facts without a world: an app, some releases, and a history that is written by the same rule as the ledger's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployctl.domain.change.facts import AppFacts
from deployctl.domain.change.serving import chain_after
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.release import App, Bundle, Change, Hold, Instance, Policy, Release
from deployctl.domain.inputs.names import AppName, Version

SHOP = AppName("shop")
BUNDLE = Bundle("acme/shop:v1", "sha256:" + "a" * 64, 8080)
HOLD = Hold("2026-01-01T00:00:00.000Z", "mara (cli)", "it was bad")


def made(number: int, version: str | None = None, **other: object) -> Release:
    release = Release(100 + number, SHOP, number, Version(version or f"v{number}"), (Component(BUNDLE),),
                      "2026-01-01T00:00:00.000Z", proven_at="2026-01-01T00:00:01.000Z")
    return replace(release, **other)  # type: ignore[arg-type]  # fields of a release, by name


@dataclass
class Past:
    """Releases 1 to `releases`, all health-checked, and what has been live so far. Containers run unless they are
    `stopped`."""

    releases: int
    policy: Policy = field(default_factory=Policy)
    active: int | None = None
    changes: list[Change] = field(default_factory=list)  # the last one first
    edited: dict[int, Release] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    beside: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    unrouted: set[int] = field(default_factory=set)

    def move(self, kind: str, number: int | None) -> Past:
        change = Change(len(self.changes) + 1, SHOP, kind, self.active, number, "2026-01-02", "mara (cli)")
        self.changes.insert(0, replace(change, chain=chain_after(change, self.changes)))
        self.active = number
        return self

    def upgrade(self, *numbers: int) -> Past:
        for number in numbers:
            self.move("upgrade", number)
        return self

    def rollback(self, number: int) -> Past:
        return self.move("rollback", number)

    def undo(self) -> Past:
        return self.move("undo", self.changes[0].source)

    def stop(self) -> Past:
        return self.move("stop", None)

    def edit(self, number: int, **fields: object) -> Past:
        self.edited[number] = made(number, **fields)  # type: ignore[arg-type]  # as above
        return self

    def hold(self, number: int) -> Past:
        return self.edit(number, hold=HOLD)

    @property
    def facts(self) -> AppFacts:
        numbers = range(1, self.releases + 1)
        present = set(numbers) - self.removed
        return AppFacts(
            app=App(SHOP, "172.30.0.0/26", "172.30.0.1", "deployctl-shop", "dc-shop", revision=len(self.changes),
                    active=self.active, policy=self.policy),
            releases={n: self.edited.get(n) or made(n) for n in numbers},
            instances={InstanceId(n): self._instance(n) for n in present},
            running=frozenset(map(InstanceId, present - self.stopped)),
            present=frozenset(map(InstanceId, present)),
            changes=tuple(self.changes),
            serving=self.active,
        )  # fmt: skip

    def _instance(self, n: int) -> Instance:
        routed = n not in self.stopped | self.unrouted
        return Instance(SHOP, n, f"shop--v{n}", f"172.30.0.{n + 1}", 20000 + n, f"id{n}", routed=routed,
                        beside=n in self.beside, failed=n in self.failed)
