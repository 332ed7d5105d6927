"""Whether a release can be rolled back to, how, and if not, why not: judged from facts; the first obstacle is the
reason."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.images.release import ProbeKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Instance, Release


class How(StrEnum):
    """What a rollback has to do before the switch."""

    WARM = "warm"  # nothing: it runs and takes traffic immediately
    BOOT = "boot"  # start its container, recreated from the image if necessary
    PULL = "pull"  # pull its image from the registry first, then boot


class Code(StrEnum):
    """Why a release cannot be rolled back to, or what to note although it can."""

    NEVER_PROVEN = "never_proven"  # it never passed its health check
    ON_HOLD = "on_hold"  # it is on hold
    NO_ANSWER = "no_answer"  # it is running but does not pass its health check
    NONE_ANSWERED = "none_answered"  # it passes its health check, but no client in the last minute got a response
    RECONNECTED = "reconnected"  # its container has another address than its own
    ENGINE_AWAY = "engine_away"  # Docker is not responding, and it cannot be started or checked without it
    IMAGE_GONE = "image_gone"  # its image is not on this server, and no registry is known to have it
    # it can be rolled back to, and its container is recreated for that
    PORT_TAKEN = "port_taken"  # ready; recreated with another port, because its own is taken
    NETWORK_GONE = "network_gone"  # ready; recreated in another network, because its own was removed
    NETWORK_MISSING = "network_missing"  # a network that it joins does not exist
    VOLUME_MISSING = "volume_missing"  # a volume that it mounts does not exist, or its data is gone with it
    FILE_MISSING = "config_file_missing"  # the kept copy of one of its config files was removed
    FILE_CHANGED = "config_file_changed"  # the kept copy of one of its config files was edited
    SECRET_GONE = "secret_gone"  # noqa: S105  the value of one of its secrets is no longer held
    OTHER_IMAGE = "other_image"  # ready; recreated from its own image, because someone used another one
    # it can be rolled back to
    PULL_NEEDED = "pull_needed"  # ready; its image has to be pulled first
    REPLICAS_MISSING = "replicas_missing"  # ready; but not all of its replicas are healthy
    FAILED_LAST = "failed_last"  # ready; but it failed when it was last deployed


@dataclass(frozen=True, slots=True)
class Reason:
    """A code for programs and its sentence for people."""

    code: Code
    sentence: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one release that is not live. None: not checked."""

    release: Release
    instance: Instance | None = None
    present: bool = False  # a container of its own image exists
    other_image: bool = False  # its container was created from another image: someone recreated it
    running: bool = False
    at_home: bool = True  # the running container has its own address
    answered: bool | None = None
    message: str = ""  # the probe's message
    image: bool | None = None  # the exact image is on this server
    network: bool | None = None  # the app's network exists
    networks_missing: tuple[str, ...] = ()  # those of the unmanaged networks in its release spec that do not exist
    volumes_missing: tuple[str, ...] = ()
    secrets_gone: tuple[str, ...] = ()  # names of its secrets whose value is no longer held
    files_lost: tuple[tuple[str, str], ...] = ()  # its config files whose kept copy is missing or changed: place inside, why
    port_taken: bool | None = None  # another program listens on the port that its container publishes
    unanswered: int = 0  # requests of the last minute, if there were enough and none got a response
    engine_away: str | None = None
    boot_seconds: float | None = None  # start and health check in its last deployment


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether it can be rolled back to: `how` says what that takes, `why` what prevents it or should be known first, and
    `code` the same for programs."""

    release: int  # number
    version: str
    ready: bool
    how: How | None = None
    why: str | None = None
    seconds: float | None = None  # until it can take traffic; None: unknown
    code: Code | None = None  # of `why`


def judge(standing: Standing) -> Readiness:
    """Return whether a rollback to it would work now, as far as it was checked."""
    release = standing.release
    how = _how(standing)
    if hindrance := _forbidden(release) or _hindered(standing, how):
        return Readiness(release.number, release.version, ready=False, why=hindrance.sentence, code=hindrance.code)
    seconds = {How.WARM: 0.0, How.BOOT: standing.boot_seconds}.get(how)
    remark = _remark(standing, how)
    return Readiness(release.number, release.version, ready=True, how=how, seconds=seconds,
                     why=remark.sentence if remark else None, code=remark.code if remark else None)


def together(judged: Sequence[Readiness]) -> Readiness:
    """Return what holds for a release of which each replica was judged: one that can take the traffic is enough."""
    warm = [one for one in judged if one.ready and one.how is How.WARM]
    if not warm:
        return judged[0]
    if len(warm) == len(judged):
        return warm[0]
    return replace(warm[0], why=f"only {len(warm)} of its {len(judged)} replicas are healthy", code=Code.REPLICAS_MISSING)


def _how(standing: Standing) -> How:
    if _is_warm(standing):
        return How.WARM
    return How.PULL if _needs_image(standing) and standing.image is False else How.BOOT


def _is_warm(standing: Standing) -> bool:
    return standing.running and standing.instance is not None and standing.instance.routed


def _needs_image(standing: Standing) -> bool:
    """Return whether its container has to be created: an existing one keeps its image, and starts where it was."""
    return not standing.present or bool(standing.instance and standing.instance.failed) or has_lost_its_place(standing)


def has_lost_its_place(standing: Standing) -> bool:
    """Return whether it would have to start with another port or in another network."""
    return not standing.running and (bool(standing.port_taken) or standing.network is False)


def _forbidden(release: Release) -> Reason | None:
    """Return why a rollback would reject it whatever the state of its container."""
    if not release.proven_at:
        return Reason(Code.NEVER_PROVEN, "it never passed its health check")
    if release.hold:
        hold = release.hold
        return Reason(Code.ON_HOLD, f"it has been on hold since {hold.at} by {hold.actor}: {hold.reason}")
    return None


def _hindered(standing: Standing, how: How) -> Reason | None:
    if standing.networks_missing:
        names = ", ".join(standing.networks_missing)
        return Reason(Code.NETWORK_MISSING, f"it joins the network {names}, which is not on this server")
    if how is How.WARM:
        return _does_not_answer(standing)
    if lost := _lost(standing):
        return lost
    if standing.engine_away:
        return Reason(Code.ENGINE_AWAY, f"it is not running and has to be started. {standing.engine_away}")
    if standing.running:
        return None if standing.at_home else _elsewhere(standing)
    if how is How.PULL and standing.release.bundle.repo_digest is None:
        return Reason(Code.IMAGE_GONE, f"its image ({short_digest(standing.release.digest)}) is no longer on this server, and "
                      "no registry is known to have it")
    return None


def _lost(standing: Standing) -> Reason | None:
    """Return what of it is gone from this server, so that it could not be started as it was."""
    if standing.volumes_missing:
        names = ", ".join(standing.volumes_missing)
        return Reason(Code.VOLUME_MISSING, f"it mounts the volume {names}, which is not on this server")
    for target, why in standing.files_lost:
        return Reason(Code(f"config_file_{why}"), f"the kept copy of its config file {target} is {why}")
    if standing.secrets_gone:
        return Reason(Code.SECRET_GONE, f"its value of the secret {', '.join(standing.secrets_gone)} is no longer held")
    return None


def _does_not_answer(standing: Standing) -> Reason | None:
    if not standing.at_home:
        return _elsewhere(standing)
    if standing.answered is None and standing.engine_away and _asks_inside(standing.release):
        return Reason(Code.ENGINE_AWAY, f"its health check needs Docker. {standing.engine_away}")
    if standing.answered is False:
        return Reason(Code.NO_ANSWER, f"it is running but does not pass its health check: {standing.message}")
    if standing.unanswered:
        return Reason(Code.NONE_ANSWERED, f"none of {standing.unanswered} requests to it in the last minute got an answer "
                      "through HAProxy")
    return None


def _asks_inside(release: Release) -> bool:
    return release.bundle.probe.kind in {ProbeKind.EXEC, ProbeKind.DOCKER}


def _elsewhere(standing: Standing) -> Reason:
    own = standing.instance.address if standing.instance else "its own address"
    return Reason(Code.RECONNECTED, f"its container is not at {own}: someone reconnected it")


def _remark(standing: Standing, how: How) -> Reason | None:
    """Return what to note although it can be rolled back to."""
    if standing.other_image:
        return Reason(Code.OTHER_IMAGE, "someone recreated its container from another image: it is recreated from its own")
    if standing.port_taken and standing.instance is not None and not standing.instance.failed:
        return Reason(Code.PORT_TAKEN, f"another program listens on its port 127.0.0.1:{standing.instance.host_port}: it is "
                      "recreated with another one")
    if standing.present and standing.network is False:
        return Reason(Code.NETWORK_GONE, "its network was removed: it is recreated in the one that is there")
    if how is How.PULL:
        return Reason(Code.PULL_NEEDED, "its image was removed and must be pulled")
    if lost := _lost(standing):  # it runs, and could not be started again
        return lost
    if standing.release.failure:
        return Reason(Code.FAILED_LAST, f"it failed when it was last deployed: {standing.release.failure}")
    return None
