"""A process that dies before its n-th act on the outside world: from then on it does nothing more, not even tidy up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from deployctl.ports import Services

ACTS = frozenset({
    "pull_image", "keep_image", "release_image", "ensure_network", "ensure_network_gone", "ensure_volume",
    "fill_volume", "ensure_volume_gone", "ensure_created",
    "ensure_started", "ensure_stopped", "ensure_removed", "set_restart", "ensure_attached", "ensure_detached",
    "sync", "switch", "refresh_previews", "cut", "queue", "release_queue",
    "ensure", "ensure_gone",
    "add_app", "set_wishes", "remove_app", "ensure_release", "mark_proven", "mark_failed", "mark_completed",
    "set_hold", "set_scale", "add_instance", "set_instance", "remove_instance", "open_deployment", "begin_step",
    "finish_step", "close_deployment", "promote",
    "event", "give_lease_back",
})  # fmt: skip


class Died(BaseException):
    """SIGKILL, as far as a test can send it to itself."""


@dataclass
class Life:
    """How many acts are left."""

    acts: int
    dead: bool = False

    def act(self, what: str) -> None:
        if self.acts == 0 or self.dead:
            self.dead = True
            raise Died(what)
        self.acts -= 1


class Mortal:
    def __init__(self, inner: Any, life: Life) -> None:
        self._inner, self._life = inner, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._guarded(name, found) if name in ACTS else found

    def _guarded(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*args: Any, **words: Any) -> Any:
            self._life.act(name)
            return act(*args, **words)

        return acting


def mortal(s: Services, life: Life) -> Services:
    return replace(s, engine=Mortal(s.engine, life), traffic=Mortal(s.traffic, life), guard=Mortal(s.guard, life),
                   ledger=Mortal(s.ledger, life))
