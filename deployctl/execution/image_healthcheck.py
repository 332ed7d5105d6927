"""The image's own HEALTHCHECK, run by us while the engine has no result of its own yet: its first look comes a whole interval
after the start, 30 s unless the image says otherwise. The engine's clock and results are left alone."""

from __future__ import annotations

from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.healthcheck import HealthcheckTimes
from deployctl.errors import DeployctlError, EngineUnavailable, LeaseHeld
from deployctl.ports import ProbeAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import ContainerFacts, Engine

LONGEST = 10.0  # seconds for a run; the engine gives it as long as the image says, and its result counts, too

def ask_image(seen: ContainerFacts | None, engine: Engine) -> ProbeAnswer:
    """Return the engine's result for that container, as it is now; while there is none, run the test once."""
    status = (seen and seen.health) or "none"
    if status == "starting" and seen and seen.healthcheck and (answer := _run(seen, engine)):
        return answer
    return ProbeAnswer(ok=status == "healthy", sentence=f"HEALTHCHECK says {status}",
                       code=None if status == "healthy" else AnswerCode.UNHEALTHY)


def _run(seen: ContainerFacts, engine: Engine) -> ProbeAnswer | None:
    """Return what the test says; None if this engine does not let us run it."""
    within = min((seen.healthcheck_times or HealthcheckTimes()).timeout, LONGEST)
    try:
        done = engine.execute(seen.id, seen.healthcheck, timeout=within)
    except (EngineUnavailable, LeaseHeld):
        raise
    except DeployctlError:
        return None
    printed = " ".join(done.output.split())[:200]
    return ProbeAnswer(done.exit_code == 0, f"HEALTHCHECK ended with {done.exit_code}{f': {printed}' if printed else ''}",
                       exit_code=done.exit_code, code=AnswerCode.UNHEALTHY if done.exit_code else None)
