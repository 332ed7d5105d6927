"""A holder whose lease was taken over changes nothing more: the fencing token is checked before each change.

A change of the ledger and its check are one transaction. For the engine or HAProxy the check comes immediately before
the change, and for a switch once more inside HAProxy's lock, which may have been waited for. What remains is a process
that is frozen between the two; a repeated change is harmless (every `ensure_` may be repeated, and HAProxy's lock is
taken from a frozen process by killing it).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from deployctl.dataclass import replace
from deployctl.errors import LeaseHeld

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.ports import Services

ENGINE = frozenset({"keep_image", "release_image", "ensure_network", "ensure_network_gone", "ensure_volume",
                    "fill_volume", "ensure_volume_gone", "ensure_created", "ensure_started",
                    "ensure_stopped", "ensure_removed", "set_restart", "set_limits",
                    "ensure_named", "ensure_connected", "ensure_attached", "ensure_detached"})
TRAFFIC = frozenset({"sync", "refresh_previews", "switch", "cut", "queue", "release_queue"})
GUARD = frozenset({"ensure", "ensure_gone", "pin", "unpin"})
FENCED_LEDGER_CALLS = frozenset({"add_app", "ensure_release", "set_wishes", "remove_app", "mark_proven", "mark_failed",
                                 "mark_completed", "set_scale",
                                 "set_hold",
                    "add_instance", "set_instance", "remove_instance", "add_network", "remove_network", "finish_step",
                    "close_deployment"})  # open_deployment and promote check by themselves


def taken_over(app: str) -> LeaseHeld:
    """Return the error of a holder whose lease was taken over."""
    return LeaseHeld(f"the lease on {app} was taken over by another process; this one stops here")


def fenced(s: Services, require_lease: Callable[[], None]) -> Services:
    """Return the same services; each change first calls `require_lease`, which raises LeaseHeld."""
    ledger = s.ledger

    def together(change: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(change)
        def act(*args: Any, **more: Any) -> Any:
            with ledger.transaction():
                require_lease()
                return change(*args, **more)

        return act

    def before(change: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(change)
        def act(*args: Any, **more: Any) -> Any:
            require_lease()
            return change(*args, **more)

        return act

    def inside(switch: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(switch)
        def act(*args: Any, **more: Any) -> Any:
            return switch(*args, **{**more, "sure": require_lease})

        return act

    engine: Any = _Fenced(s.engine, ENGINE, before)
    traffic: Any = _Fenced(_Fenced(s.traffic, frozenset({"switch"}), inside), TRAFFIC, before)
    guard: Any = _Fenced(s.guard, GUARD, before)
    safe_ledger: Any = _Fenced(ledger, FENCED_LEDGER_CALLS, together)
    return replace(s, engine=engine, traffic=traffic, guard=guard, ledger=safe_ledger)


class _Fenced:
    """Everything that the inner object has; changing calls go through the fence."""

    def __init__(self, inner: object, changes: frozenset[str],
                 fence: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._inner, self._changes, self._fence = inner, changes, fence

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._fence(found) if name in self._changes else found
