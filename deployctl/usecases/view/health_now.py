"""One probe of one instance, by the kind of its health check. Ledger rows are read before: a connection belongs to one
thread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from threading import Thread

from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import ProbeKind
from deployctl.domain.proxy.quality import (
    POINT,
    WINDOW,
    is_degraded,
    may_be_degraded,
    quality_of,
    trouble_of,
)
from deployctl.errors import DeployctlError
from deployctl.ports import ProbeAnswer
from deployctl.stdlib import datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Change, Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.quality import (
        Quality,
        Trouble,
    )
    from deployctl.ports import ContainerFacts, Services


    Job = tuple[Release, Instance, App, ContainerFacts | None]  # what to ask, and the container that should be there

PROBERS = 8  # threads; more would only wait for each other


def may_ask(release: Release, instance: Instance, container: ContainerFacts | None, *, engine: bool) -> bool:
    """Return whether a probe makes sense: the container runs, or the engine is not responding and the probe does not
    need it."""
    kind = release.component(instance.component).bundle.probe.kind
    if engine:
        return container is not None and container.running
    return kind in {ProbeKind.HTTP, ProbeKind.TCP}


def ask_once(release: Release, instance: Instance, app: App, container: ContainerFacts | None, s: Services) -> ProbeAnswer:
    from deployctl.execution.health_gate import ask_from_outside

    kind = release.component(instance.component).bundle.probe.kind
    if kind is ProbeKind.PROCESS:
        return ProbeAnswer(ok=True, sentence="is running")
    if kind is ProbeKind.DOCKER:
        from deployctl.execution.image_healthcheck import ask_image

        starting = container is not None and container.health == "starting"  # the list says no more than that
        return ask_image(s.engine.find_container(container.id) if container and starting else container, s.engine)
    if kind is ProbeKind.EXEC:
        return _execute(release, instance, s)
    return ask_from_outside(s, release, instance, app)


def _execute(release: Release, instance: Instance, s: Services) -> ProbeAnswer:
    probe = release.component(instance.component).bundle.probe
    try:
        done = s.engine.execute(instance.container or instance.name, probe.command or (), timeout=probe.timeout)
    except DeployctlError as e:
        return ProbeAnswer(ok=False, sentence=e.message, code=AnswerCode.NOT_ASKED)
    return ProbeAnswer(done.exit_code == 0, f"command ended with {done.exit_code}",
                  code=AnswerCode.COMMAND_FAILED if done.exit_code else None)


def ask_together(jobs: Mapping[tuple[AppName, InstanceId], Job], s: Services) -> dict[tuple[AppName, InstanceId], ProbeAnswer]:
    """Probe them all, in parallel. Raises DeployctlError where one cannot be probed at all."""
    found: dict[tuple[AppName, InstanceId], ProbeAnswer] = {}
    failed: list[DeployctlError] = []
    todo = iter(jobs.items())

    def ask_on() -> None:  # a pool of `concurrent.futures` would load 15 modules for these few threads
        try:
            for key, job in todo:
                found[key] = ask_once(*job, s)
        except DeployctlError as e:  # raised where the result is awaited
            failed.append(e)

    threads = [Thread(target=ask_on, name="probes", daemon=True) for _ in range(min(PROBERS, len(jobs)) - 1)]
    for thread in threads:
        thread.start()
    ask_on()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    if len(found) < len(jobs):  # a bug ended a thread, and Python has printed where
        raise RuntimeError("an instance was not asked")
    return found


# -- its requests --------------------------------------------------------------------------------------------------
def find_trouble(app: AppName, active: int, version: str, changes: Sequence[Change], s: Services) -> Trouble | None:
    """Return what is wrong if the active release fails far more than the one before. `changes`: newest first."""
    quality = quality_of(s.meter.points(app, since=_unix(s.clock.utc()) - WINDOW), active)
    if not may_be_degraded(quality):
        return None
    former = _former(app, active, changes, s)
    if not is_degraded(quality, former[1] if former else None):
        return None
    return trouble_of((version, quality), former)


def _former(app: AppName, active: int, changes: Sequence[Change], s: Services) -> tuple[str, Quality] | None:
    """Return the release before, and how it responded in the last minutes in which it got requests."""
    change = next((change for change in changes if change.target == active and change.source != active), None)
    release = s.ledger.find_release(app, change.source) if change and change.source is not None else None
    if change is None or release is None:
        return None
    until = math.ceil(_unix(change.at) / POINT) * POINT  # the sample that contains the switch is the last one
    points = s.meter.busy(app, release.number, until=until, seconds=WINDOW)
    return release.version, quality_of(points, release.number)


def _unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
