"""Runs a job of a release to its end, once: it is never started a second time, whatever became of the first."""

from __future__ import annotations

from deployctl.domain.change.diagnosis import FailureCause
from deployctl.domain.images.component import instance_name
from deployctl.errors import DeployctlError, NotFound, NotHealthy
from deployctl.execution.containers import bundle_of, container_of, instance_of, release_of
from deployctl.execution.health_gate import KILLED, LOG_LINES
from deployctl.execution.starting import start_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.execution.course import Check, Course, Effect
    from deployctl.execution.runner import Walk
    from deployctl.ports import ContainerFacts, Services

FIRST_LOOK, LAST_LOOK = 0.05, 1.0  # seconds between two looks at it: few jobs take long, and those can wait
IN_DATABASE = "What it asked a database to do may still be running there: look before you try again."


def run_job(walk: Walk, step: Step) -> Course:
    """Start it unless it was started, and wait for exit code 0. Raises NotHealthy: it failed, or did not end in time."""
    s, name, container = walk.services, _name(walk, step), container_of(instance_of(walk, step))
    ends_at = s.clock.now() + (within := release_of(walk, step).component(step.instance.component).timeout)
    if not _require(s, container, name).started_at:
        yield from start_container(walk, step)
        container = container_of(instance_of(walk, step))
    seen: ContainerFacts = yield _wait(container, name, began=ends_at - within, ends_at=ends_at)
    if seen.running:
        _stop_late(walk, step, f"{name} did not end within {within:g} s and was stopped. {IN_DATABASE}")
    if not has_completed(seen):
        cause, why = _why(seen)
        _fail(walk, step, f"{name} {why}", cause)
    s.ledger.mark_completed(walk.plan.app, step.instance, at=s.clock.utc())
    return "ended with exit code 0"


def _wait(container: str, name: str, *, began: float, ends_at: float) -> Effect:
    """Return the effect that looks at the job until it has ended or it is time. `docker wait` is not used: of a container
    that was never started it reports exit code 0."""

    def wait(s: Services, check: Check) -> ContainerFacts:
        look = FIRST_LOOK
        while (seen := _require(s, container, name)).running:
            check()
            if (now := s.clock.now()) >= ends_at:
                return seen
            s.report.detail(f"running for {now - began:.0f} s")
            s.clock.sleep(look)
            look = min(look * 1.5, LAST_LOOK)
        return seen

    return wait


def has_completed(seen: ContainerFacts) -> bool:
    """Return whether that job ran and ended with exit code 0. One that was only created has exit code 0, too."""
    return bool(seen.started_at) and not seen.running and seen.status == "exited" and seen.exit_code == 0


def end_job(walk: Walk, step: Step) -> None:
    """Stop a job whose deployment ends. One that has completed is recorded as that: it did its work, and does not run
    again."""
    s, instance = walk.services, walk.services.ledger.find_instance(walk.plan.app, step.instance)
    seen = s.engine.find_container(container_of(instance)) if instance else None
    if seen is None:
        return
    if seen.running:
        s.engine.ensure_stopped(seen.id, grace=bundle_of(walk, step).stop_grace)
        walk.warn(f"{_name(walk, step)} was stopped while it ran. {IN_DATABASE}")
    elif has_completed(seen):
        s.ledger.mark_completed(walk.plan.app, step.instance, at=s.clock.utc())


def _why(seen: ContainerFacts) -> tuple[FailureCause, str]:
    if seen.oom_killed:
        return FailureCause.OUT_OF_MEMORY, f"needed more than its memory limit and was killed. {IN_DATABASE}"
    if seen.exit_code == KILLED:
        return FailureCause.JOB_FAILED, f"was killed by something else (exit code {KILLED}). {IN_DATABASE}"
    return FailureCause.JOB_FAILED, f"ended with exit code {seen.exit_code}"


def _stop_late(walk: Walk, step: Step, message: str) -> None:
    walk.services.engine.ensure_stopped(container_of(instance_of(walk, step)), grace=bundle_of(walk, step).stop_grace)
    _fail(walk, step, message, FailureCause.JOB_TIMED_OUT)


def _fail(walk: Walk, step: Step, message: str, cause: FailureCause) -> None:
    release = release_of(walk, step)
    walk.keep_failed = True
    walk.services.ledger.mark_failed(release.app, release.number, why=message, code=cause)
    error = NotHealthy(message, remedy=[f"deployctl logs {release.app} {release.version}",
                                        f"deployctl upgrade {release.app} {release.version}   # runs it once more"])
    error.cause, error.why = cause, message
    error.details += _last_lines(walk, step)
    raise error


def _last_lines(walk: Walk, step: Step) -> list[str]:
    try:
        lines = list(walk.services.engine.logs(container_of(instance_of(walk, step)), tail=LOG_LINES))
    except DeployctlError:
        return []
    return [f"Last lines of {_name(walk, step)}:", *(f"  {line.text}" for line in lines[-10:])] if lines else []


def _require(s: Services, container: str, name: str) -> ContainerFacts:
    seen = s.engine.find_container(container)
    if seen is None:
        raise NotFound(f"the container of {name} was removed by someone")
    return seen


def _name(walk: Walk, step: Step) -> str:
    return instance_name(release_of(walk, step), step.instance)
