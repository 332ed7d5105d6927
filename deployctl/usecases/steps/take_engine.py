"""Switch the home to an engine other than the one that has its containers, once a person has confirmed it."""

from __future__ import annotations

from deployctl.errors import AnotherEngine, ConfirmationNeeded, EngineUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services


def take_engine(s: Services, *, confirmed: bool) -> None:
    """Record the engine that responds as this home's. Nothing happens if it already is, or none responds."""
    try:
        s.engine.containers()
    except AnotherEngine as e:
        if not confirmed:
            raise ConfirmationNeeded(f"{e.message}. Use this engine? Containers are created again here, as far as their "
                                     "images are here or in a registry.") from e
        info = s.engine.info()
        s.ledger.set_engine(info.id)
        s.ledger.event("engine", f"the home now uses another engine, {info.id}", at=s.clock.utc(), actor=s.actor)
    except EngineUnavailable:  # whatever needs it reports it
        return
