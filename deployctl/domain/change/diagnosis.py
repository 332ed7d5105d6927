"""From the evidence of a failed candidate to the sentence that a person needs at night."""

from __future__ import annotations

import re

from deployctl.dataclass import dataclass
from deployctl.domain.change.planner import spoken
from deployctl.domain.images.healthcheck import HealthcheckTimes
from deployctl.domain.images.release import Bundle, ProbeKind
from deployctl.pattern import pattern

MISSING = (
    pattern(r"\b([A-Z][A-Z0-9_]{2,})\b['\"`]?(?: environment variable)? (?:is |was )?"
               r"(?:not set|missing|required|undefined|must be set|not defined|unset)"),
    pattern(r"KeyError: ['\"]([A-Z][A-Z0-9_]{2,})['\"]"),
    pattern(r"(?:[Mm]issing|[Rr]equire[sd]?|[Uu]ndefined|[Uu]nset)[a-z ]*(?:variable|env)[a-z ]*:? "
               r"['\"`]?([A-Z][A-Z0-9_]{2,})"),
)
SETUID = pattern(  # sudo, su of busybox and shadow, doas, fusermount, newuidmap
    r"no new privileges|effective uid is not 0|must be (?:suid|setuid)|not installed setuid|must be run setuid|"
    r"(?:setuid|setgid|set[ug]roups?|initgroups)\b.*operation not permitted", re.IGNORECASE)
LAST_WORDS = pattern(r"\s*((?:[\w.$]*(?:Error|Exception)|panic|[Ff]atal(?: error)?|FATAL): .*\S)")
SIGNALS = {129: "SIGHUP", 130: "SIGINT", 132: "illegal instruction", 134: "SIGABRT", 135: "SIGBUS",
           136: "floating point exception", 137: "SIGKILL", 139: "segmentation fault", 141: "SIGPIPE", 143: "SIGTERM"}
DOCKER_DNS = "127.0.0.11"  # Docker's own resolver, in every container of a network of ours


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of a candidate that failed."""

    version: str
    bundle: Bundle
    answers: tuple[tuple[str, int], ...] = ()  # sentence, how often in a row; the last ones
    asked: int = 0  # how often in all
    good: int = 0  # how many of the answers were good
    last_bad: str = ""
    proven: bool = False  # it was healthy before
    status: int | None = None  # of the last answer
    location: str | None = None
    seconds: float = 0.0  # how long it was tried
    running: bool = True
    exit_code: int | None = None
    oom_killed: bool = False
    restarted: bool = False
    health_output: str = ""
    healthcheck_times: HealthcheckTimes | None = None
    probe_exit: int | None = None  # of the probe's command inside the container, the last time
    listening: tuple[tuple[str, int], ...] = ()  # inside the container
    logs: tuple[str, ...] = ()
    unanswered: int = 0  # requests of visitors that got no answer of the app, and none got one
    active_version: str | None = None
    active_env: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    headline: str
    likely: str | None = None
    lost_env: bool = False  # the likely cause is a variable that what serves had: a comparison shows it


def diagnose(e: Evidence) -> Diagnosis:
    """Return what happened and the likely cause; `likely` is None when the headline is all that is known."""
    if e.oom_killed:
        size = f"{e.bundle.resources.memory / 2**20:.0f} MiB"
        return Diagnosis(f"{e.version} ran out of memory at its limit of {size} (exit code {e.exit_code})",
                         'it needs more: raise memory in [resources], or let the app use less')
    if not e.running or e.restarted:
        return _told(_ended(e), e, _needs_setuid(e) or _why_it_ended(e))
    if e.unanswered:
        return Diagnosis(f"{e.version} passes its probe, but none of {e.unanswered} requests of visitors got an answer "
                         "through HAProxy", "its answers are not valid HTTP/1.1")
    return _told(_never_healthy(e), e, _needs_setuid(e) or _why_unhealthy(e))


def _told(headline: str, e: Evidence, otherwise: str | None) -> Diagnosis:
    name = _find_missing_env(e)
    if name is None:
        return Diagnosis(headline, otherwise)
    if name in e.active_env:
        return Diagnosis(headline, f"{e.active_version} had {name}, {e.version} has not", lost_env=True)
    return Diagnosis(headline, f"{name} is not set: add it to [env]")


def _ended(e: Evidence) -> str:
    when = "" if e.proven else " before it was proven healthy"
    if e.exit_code is None:
        return f"{e.version} ended by itself and was started again by Docker{when}"
    if e.exit_code == 0:
        return f"{e.version} ended by itself with exit code 0{when}"
    signal = SIGNALS.get(e.exit_code)
    return f"{e.version} exited with code {e.exit_code}{f' ({signal})' if signal else ''}{when}"


def _why_it_ended(e: Evidence) -> str | None:
    if e.exit_code == 0:
        return "its command does its work and ends; a server has to keep running in the foreground"
    if e.exit_code in {126, 127}:
        return "the command was not found or may not be executed in this image"
    words = next((found[1] for line in reversed(e.logs) if (found := LAST_WORDS.match(line))), None)
    return words and f"its log says {words[:200]}"


def _never_healthy(e: Evidence) -> str:
    subject = f"{e.version} {'is no longer' if e.proven else 'did not get'} healthy"
    if not e.answers:
        return f"{subject}: it could not be asked for {e.seconds:.0f} s"
    sentence, count = e.answers[-1]
    if e.good and (sentence != e.last_bad or count < e.bundle.probe.fall):
        return (f"{subject}: {e.last_bad} between good answers for {e.seconds:.0f} s "
                f"({e.good} of {e.asked} good, never {e.bundle.probe.rise} in a row)")
    return f"{subject}: {sentence} for {e.seconds:.0f} s ({count} of {e.asked} checks)"


def _find_missing_env(e: Evidence) -> str | None:
    """Return the variable that the last lines of the log miss."""
    given = dict(e.bundle.env)
    for line in reversed(e.logs):
        for known in MISSING:
            if (found := known.search(line)) and found[1] not in given:
                return str(found[1])
    return None


def _needs_setuid(e: Evidence) -> str | None:
    """Tell of a program that wants another user's rights, which no container of ours ever gains."""
    line = next((line for line in reversed(e.logs) if SETUID.search(line)), None)
    return line and (f'its log says "{line.strip()[:160]}": setuid programs (sudo, su) gain no rights here, because deployctl '
                     "sets no-new-privileges. Let the image run as that user, or set user in the app file")


def _why_unhealthy(e: Evidence) -> str | None:
    match e.bundle.probe.kind:
        case ProbeKind.DOCKER:
            return _healthcheck(e)
        case ProbeKind.EXEC:
            return f"the image has no program {e.bundle.probe.command[0]} that may be run: set health.command" \
                if e.probe_exit in {126, 127} and e.bundle.probe.command else None
    return _wrong_listener(e) or _wrong_answer(e)


def _healthcheck(e: Evidence) -> str | None:
    """Return what the image's own check said, and how seldom the engine asks it."""
    times = e.healthcheck_times
    pace = f"it runs every {times.interval:g} s and may take {times.timeout:g} s" if times else ""
    if e.health_output:
        return f"the image's HEALTHCHECK said: {' '.join(e.health_output.split())[:200]}" + (f" ({pace})" if pace else "")
    return pace and f"the image's HEALTHCHECK has given no result yet, {pace}: raise health.deadline"


def _wrong_listener(e: Evidence) -> str | None:
    if e.status is not None:
        return None
    port = e.bundle.port
    here = sorted({address for address, p in e.listening if p == port})
    others = sorted({p for address, p in e.listening if p != port and address != DOCKER_DNS})
    if here and all(a.startswith("127.") or a == "::1" for a in here):
        return f"it listens on {here[0]}:{port} inside its container, where nobody else can reach it: let it listen on 0.0.0.0"
    if not here and others:
        return f"nothing listens on port {port}, but the app listens on {', '.join(map(str, others))}: set port = {others[0]}"
    looked = bool(e.listening) or any("refused" in said for said, _ in e.answers[-1:])  # else it may not look
    if not here and looked:
        return f"nothing listens on port {port} yet: it starts slower than health.deadline, or hangs while starting"
    return None


def _wrong_answer(e: Evidence) -> str | None:
    if e.location is not None:
        return (f"the probe was sent on to {e.location}: choose a health.path that answers itself, "
                "or accept the redirect with health.status")
    if e.status in {401, 403}:
        return "the health path asks for a login: choose one that does not"
    if e.status == 404:
        return f"{spoken(e.bundle.probe)} does not exist in this version: set health.path"
    if e.status in {400, 421}:
        return "the app does not accept the Host header of the probe: set health.host"
    return None
