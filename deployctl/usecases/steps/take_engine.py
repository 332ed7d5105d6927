"""Go on with another engine than the one that has the home's containers, once a person has said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployctl.errors import AnotherEngine, ConfirmationNeeded, EngineUnavailable

if TYPE_CHECKING:
    from deployctl.ports import Services


def take_engine(s: Services, *, confirmed: bool) -> None:
    """Remember the engine that answers as this home's. Nothing happens when it is that already, or none answers."""
    try:
        s.engine.containers()
    except AnotherEngine as e:
        if not confirmed:
            raise ConfirmationNeeded(f"{e.message}. Use this engine? Containers are created again here, as far as their "
                                     "images are here or in a registry.") from e
        info = s.engine.info()
        s.ledger.set_engine(info.id)
        s.ledger.event("engine", f"the home now uses another engine, {info.id}", at=s.clock.utc(), actor=s.actor)
    except EngineUnavailable:  # whoever needs it says so
        return
