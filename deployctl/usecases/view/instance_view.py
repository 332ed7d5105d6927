"""What is shown of one instance: its role, its health and why, and what HAProxy counted for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.probes import HealthReason
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.images.release import ReleaseRole
from deployctl.domain.proxy.quality import answers_nobody
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError
from deployctl.usecases.read_facts import Containers, at_home
from deployctl.usecases.results import InstanceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import ContainerFacts, ProbeAnswer


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading of everything outside the ledger; None if not available."""

    routes: Mapping[AppName, int] | None
    counters: Mapping[tuple[AppName, int], Counters]
    containers: Containers | None
    proxy: DeployctlError | None
    engine: DeployctlError | None
    store: str | None = None  # the engine's; read only if a container is not visible
    believed: Mapping[str, str] = field(default_factory=dict)  # address → MAC that this host sends to, after the probes

    def find(self, instance: Instance, release: Release) -> ContainerFacts | None:
        return self.containers.find(instance, release) if self.containers else None

    def find_other(self, instance: Instance, release: Release) -> ContainerFacts | None:
        return self.containers.find_other(instance, release) if self.containers else None


def runs(release: Release, known: Sequence[tuple[Instance, Release]], seen: Seen) -> bool:
    """Return whether one of its replicas runs."""
    mains = [one for one, of in known if of is release and one.id in release.mains]
    return any(container.running if (container := seen.find(one, release)) else one.routed for one in mains)


def role_of(instance: Instance, release: Release, serving: int | None, candidate: int | None, served: set[int | None], *,
          runs: bool) -> ReleaseRole:
    if release.number == serving:
        return ReleaseRole.ACTIVE
    if release.number == candidate:
        return ReleaseRole.CANDIDATE
    if instance.failed:
        return ReleaseRole.FAILED
    return ReleaseRole.STANDBY if runs and release.number in served and not instance.beside else ReleaseRole.IDLE


def instance_view(instance: Instance, release: Release, role: ReleaseRole, container: ContainerFacts | None, seen: Seen,
                   answers: Mapping[tuple[AppName, InstanceId], ProbeAnswer], serving: int | None,
                   since: Mapping[int | None, str]) -> InstanceView:
    """Return how one instance is: from its probe, its container and HAProxy's counts."""
    main, component = instance.id == release.main, release.component(instance.component)
    counted = seen.counters.get((instance.app, instance.release), Counters()) if main else Counters()
    answer = answers.get((instance.app, instance.id))
    reason = _reason(answer, instance, release, container, seen)
    if reason is None and answers_nobody(counted.recent):
        reason = HealthReason.NONE_ANSWERED
    reached = instance.id in release.mains and not component.is_backing
    health = _health(reason, answer, needed=instance.routed if reached else role is ReleaseRole.ACTIVE)
    if component.is_job:
        health, reason = ("completed" if component.name in release.completed else health), None
    return InstanceView(
        version=release.version, release=release.number, role=role, port=instance.host_port or 0, address=instance.address,
        health=health, weight=100 if main and release.number == serving else 0, container=instance.container,
        colour=release.colour, digest=component.bundle.digest, held=release.hold is not None,
        warm=role is ReleaseRole.STANDBY and health == "passing", health_reason=reason,
        probe_message=_probe_message(answer, counted, reason, _other_mac(instance, container, seen))
        or _in_its_place(instance, release, seen),
        probe_ms=round(answer.ms, 1) if answer else None, status=container.status if container else "",
        requests=counted.requests, in_flight=counted.in_flight, failed_requests=counted.failed,
        failed_precision=counted.precision, closed_connections=counted.closed,
        answers_5xx=counted.answers_5xx, response_ms=counted.response_ms, since=since.get(release.number),
        component=component.name, kind=component.kind, replica=instance.replica,
        replicas=release.replicas(component), replicas_written=component.replicas,
    )


def _in_its_place(instance: Instance, release: Release, seen: Seen) -> str:
    """Return why nothing was probed, if what could be probed is not its container."""
    other = seen.find_other(instance, release)
    return f"has no container of its own image: {short_digest(other.image)} is in its place" if other else ""


def _reason(answer: ProbeAnswer | None, instance: Instance, release: Release, container: ContainerFacts | None,
            seen: Seen) -> HealthReason | None:
    """Return what its probe and its container show to be wrong."""
    if answer is not None:
        if container is not None and not at_home(instance, container):
            return HealthReason.RECONNECTED
        if answer.ok:
            return HealthReason.ANSWERED_BY_ANOTHER if _other_mac(instance, container, seen) else None
        return HealthReason.NO_ANSWER if answer.status is None else HealthReason.WRONG_ANSWER
    if seen.containers is None or (container and container.running):  # an engine that is not responding proves nothing
        return None
    return HealthReason.OTHER_IMAGE if seen.find_other(instance, release) else HealthReason.NOT_RUNNING


def _other_mac(instance: Instance, container: ContainerFacts | None, seen: Seen) -> str | None:
    """Return the MAC that answers for the address, if it is not its container's."""
    macs = container.macs if container else {}
    own = next((macs.get(name) for name, address in (container.addresses if container else {}).items()
                if address == instance.address), None)
    believed = seen.believed.get(instance.address)
    return believed if own and believed and own != believed else None


def _health(reason: HealthReason | None, answer: ProbeAnswer | None, *, needed: bool) -> str:
    if reason in {HealthReason.NOT_RUNNING, HealthReason.OTHER_IMAGE}:
        return "failing" if needed else "stopped"
    if reason is not None:
        return "failing"
    return "unknown" if answer is None else "passing"


def _probe_message(answer: ProbeAnswer | None, counted: Counters, reason: HealthReason | None, other_mac: str | None) -> str:
    message = answer.sentence if answer else ""
    if reason is HealthReason.ANSWERED_BY_ANOTHER:
        return f"{message}, but what answers at its address is another one on its network ({other_mac})"
    if reason is not HealthReason.NONE_ANSWERED:
        return message
    none = f"none of {counted.recent.failed} requests in the last minute got an answer through HAProxy"
    return f"{message}, but {none}" if message else none
