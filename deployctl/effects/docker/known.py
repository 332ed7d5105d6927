"""Which of an engine's containers belong to a home, and whether the home may rely on them: on this engine, and
alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass
from deployctl.errors import AnotherEngine

if TYPE_CHECKING:
    from deployctl.domain.host.home import HomeIdentity
    from deployctl.ports import ContainerFacts


@dataclass(frozen=True, slots=True)
class Belonging:
    """`known` returns the id of the engine that the home's containers are on. `require_gone` raises CopiedHome if a
    copy of the home still exists at one of these paths."""

    home: HomeIdentity
    known: Callable[[], str | None] = lambda: None
    require_gone: Callable[[Iterable[str]], None] = lambda places: None

    def ours(self, found: Sequence[ContainerFacts], ask: Callable[[], str], address: str) -> list[ContainerFacts]:
        """Return those of the home. `ask` reads the engine's id. Raises AnotherEngine or CopiedHome."""
        self.require_gone({place for one in found if (place := self.home.elsewhere(one.labels))})
        ours = [one for one in found if self.home.owns(one.labels)]
        if not ours:
            _require_known(self.known(), ask, address)
        return ours


def _require_known(known: str | None, ask: Callable[[], str], address: str) -> None:
    """Raise AnotherEngine if the engine's id is not `known`. Engines that generate one for each response, such as
    Podman, cannot be recognised."""
    if known is None:
        return
    here = ask()
    if here in {"", known} or here != ask():
        return
    raise AnotherEngine(
        f"the engine at {address} is another one than the one that this home's containers run on (its id is {here[:12]}, "
        f"theirs {known[:12]}): none of them is here, and none is known to be gone",
        remedy=["docker context ls; echo $DOCKER_HOST   # which engine was meant?",
                "deployctl reconcile   # asks, and then uses this engine"])
