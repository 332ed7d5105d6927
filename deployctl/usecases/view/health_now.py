"""One probe of one instance, by the kind of its health check. Ledger rows are read before: a connection belongs to one
thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import ProbeKind
from deployctl.errors import DeployctlError
from deployctl.ports import ProbeAnswer

if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Instance, Release
    from deployctl.ports import ContainerFacts, Services


def may_ask(release: Release, container: ContainerFacts | None, *, engine: bool) -> bool:
    """Return whether a probe makes sense: the container runs, or the engine is not responding and the probe does not
    need it."""
    if engine:
        return container is not None and container.running
    return release.bundle.probe.kind in {ProbeKind.HTTP, ProbeKind.TCP}


def ask_once(release: Release, instance: Instance, app: App, container: ContainerFacts | None, s: Services) -> ProbeAnswer:
    from deployctl.execution.health_gate import ask_from_outside

    kind = release.bundle.probe.kind
    if kind is ProbeKind.DOCKER:
        health = container.health if container else None
        return ProbeAnswer(health == "healthy", f"HEALTHCHECK says {health or 'nothing'}",
                      code=None if health == "healthy" else AnswerCode.UNHEALTHY)
    if kind is ProbeKind.EXEC:
        return _execute(release, instance, s)
    return ask_from_outside(s, release, instance, app)


def _execute(release: Release, instance: Instance, s: Services) -> ProbeAnswer:
    probe = release.bundle.probe
    try:
        done = s.engine.execute(instance.container or instance.name, probe.command or (), timeout=probe.timeout)
    except DeployctlError as e:
        return ProbeAnswer(ok=False, sentence=e.message, code=AnswerCode.NOT_ASKED)
    return ProbeAnswer(done.exit_code == 0, f"command ended with {done.exit_code}",
                  code=AnswerCode.COMMAND_FAILED if done.exit_code else None)
