"""Can a release be rolled back to, how, and if not, why not: judged from facts, the first hindrance is the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployctl.domain.release import Instance, ProbeKind, Release


class How(StrEnum):
    """What a rollback to it has to do before the switch."""

    WARM = "warm"  # nothing: it runs and takes traffic at once
    BOOT = "boot"  # start its container, made again from the image if need be
    PULL = "pull"  # fetch its image from the registry first, then boot


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one release that does not serve. None: was not asked."""

    release: Release
    instance: Instance | None = None
    present: bool = False  # its container exists
    running: bool = False
    at_home: bool = True  # the running container has its own address
    answered: bool | None = None
    said: str = ""  # the probe's sentence
    image: bool | None = None  # the exact image is on this server
    network: bool | None = None  # the app's network is there
    port_taken: bool | None = None  # somebody else listens on the port that its container publishes
    engine_away: str | None = None
    boot_seconds: float | None = None  # start and health at its last deployment


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether one release can be rolled back to. `why` says why not, or what is to be known first."""

    release: int  # number
    version: str
    ready: bool
    how: How | None = None
    why: str | None = None
    seconds: float | None = None  # until it could take traffic; None: not known


def judge(standing: Standing) -> Readiness:
    """Return whether a rollback to it would work now, as far as that was looked at."""
    release = standing.release
    how = _how(standing)
    why = _forbidden(release) or _hindered(standing, how)
    if why:
        return Readiness(release.number, release.version, ready=False, how=None, why=why)
    seconds = {How.WARM: 0.0, How.BOOT: standing.boot_seconds}.get(how)
    return Readiness(release.number, release.version, ready=True, how=how, why=_remark(standing, how), seconds=seconds)


def _how(standing: Standing) -> How:
    if _is_warm(standing):
        return How.WARM
    return How.PULL if _needs_image(standing) and standing.image is False else How.BOOT


def _is_warm(standing: Standing) -> bool:
    return standing.running and standing.instance is not None and standing.instance.routed


def _needs_image(standing: Standing) -> bool:
    """Tell whether its container has to be made: an existing one keeps what it was made from."""
    return not standing.present or bool(standing.instance and standing.instance.failed)


def _forbidden(release: Release) -> str | None:
    """Return why a rollback would refuse it whatever the state of its container."""
    if not release.proven_at:
        return "it was never proven healthy"
    if release.hold:
        return f"it is on hold since {release.hold.at} by {release.hold.actor}: {release.hold.reason}"
    return None


def _hindered(standing: Standing, how: How) -> str | None:
    if how is How.WARM:
        return _does_not_answer(standing)
    if standing.engine_away:
        return f"it is not running and would have to be started. {standing.engine_away}"
    if standing.running:
        return None if standing.at_home else _elsewhere(standing)
    if how is How.PULL and standing.release.bundle.repo_digest is None:
        return (f"its image ({standing.release.digest[7:19]}) is no longer on this server, and no registry is known to "
                "have it")
    if standing.port_taken and standing.instance is not None and not standing.instance.failed:
        return f"another program listens on its port 127.0.0.1:{standing.instance.host_port}"
    if standing.present and standing.network is False:
        return "its network was removed: its container cannot start"
    return None


def _does_not_answer(standing: Standing) -> str | None:
    if not standing.at_home:
        return _elsewhere(standing)
    if standing.answered is None and standing.engine_away and _asks_inside(standing.release):
        return f"its probe needs Docker. {standing.engine_away}"
    if standing.answered is False:
        return f"it runs and does not pass its probe: {standing.said}"
    return None


def _asks_inside(release: Release) -> bool:
    return release.bundle.probe.kind in {ProbeKind.EXEC, ProbeKind.DOCKER}


def _elsewhere(standing: Standing) -> str:
    own = standing.instance.address if standing.instance else "its own address"
    return f"its container is not at {own}: somebody re-connected it"


def _remark(standing: Standing, how: How) -> str | None:
    """Return what is to be known although it can be rolled back to."""
    if how is How.PULL:
        return "its image was removed and must be pulled"
    if standing.release.failure:
        return f"it failed when it was last tried: {standing.release.failure}"
    return None
