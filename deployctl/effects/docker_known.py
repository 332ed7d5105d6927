"""Is this the engine that a home's containers were last seen on?"""

from __future__ import annotations

from collections.abc import Callable

from deployctl.errors import AnotherEngine


def require_known(known: str | None, ask: Callable[[], str], address: str) -> None:
    """Raise AnotherEngine when the engine's id is another one than `known`. Engines that invent one for each answer, as
    Podman does, have none to go by."""
    if known is None:
        return
    here = ask()
    if here in {"", known} or here != ask():
        return
    raise AnotherEngine(
        f"the engine at {address} is another one than the one that this home's containers run on (its id is {here[:12]}, "
        f"theirs {known[:12]}): none of them is here, and none is known to be gone",
        remedy=["docker context ls; echo $DOCKER_HOST   # which engine was meant?",
                "deployctl reconcile   # asks, and goes on with this engine"])
