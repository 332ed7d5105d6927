"""What an engine that is compatible with Docker may not support: reported before anything is created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployctl.domain.images.release import ProbeKind
from deployctl.errors import EngineRefused, Invalid
from deployctl.ports import Lack

if TYPE_CHECKING:
    from deployctl.ports import EngineInfo


def require_able(engine: EngineInfo, probe: ProbeKind) -> None:
    """Raises if this engine does not support what a release with such a probe needs."""
    if Lack.UPDATE in engine.lacks:
        raise EngineRefused(f"{engine.product} {engine.version} cannot update existing containers, which deployctl "
                            "requires. Nothing was changed.", remedy=["use Podman 5 or later, or Docker"], code=Lack.UPDATE)
    if probe is ProbeKind.DOCKER and Lack.HEALTHCHECKS in engine.lacks:
        raise Invalid(f'health.kind = "docker" needs an engine that runs health checks: {engine.product} runs them with '
                      "systemd timers, and systemd is not running here. Nothing was changed.", code=Lack.HEALTHCHECKS,
                      remedy=['use health.kind = "http" with a path, "tcp" or "exec"'])
