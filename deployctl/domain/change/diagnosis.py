"""From the evidence of a failed candidate to the sentence that an operator needs at 3 a.m."""

from __future__ import annotations

from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.change.log_clues import last_error, missing_variable, refused_setuid
from deployctl.domain.change.planner import spoken
from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import ProbeKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.healthcheck import HealthcheckTimes
    from deployctl.domain.images.release import Bundle

EXIT_CODE_SIGNALS = {129: "SIGHUP", 130: "SIGINT", 132: "illegal instruction", 134: "SIGABRT", 135: "SIGBUS",
           136: "floating point exception", 137: "SIGKILL", 139: "segmentation fault", 141: "SIGPIPE", 143: "SIGTERM"}
DOCKER_DNS = "127.0.0.11"  # Docker's own resolver, in every container on one of our networks


class FailureCause(StrEnum):
    """Why a candidate failed: the likely cause, or else how it failed."""

    OUT_OF_MEMORY = "out_of_memory"  # it reached its memory limit
    LOST_ENV = "lost_env"  # it lacks a variable that the live version has
    MISSING_ENV = "missing_env"  # it lacks a variable
    SETUID = "setuid"  # a program in it needs privileges that no container gets
    COMMAND_ENDS = "command_ends"  # its command ended with exit code 0: it is no server
    COMMAND_MISSING = "command_missing"  # its command was not found or is not executable (exit code 126 or 127)
    CRASHED = "crashed"  # it ended, and its log names an error
    EXITED = "exited"  # it ended
    NOT_HTTP = "not_http"  # it passes its health check, but visitors get no valid HTTP response
    HEALTHCHECK_FAILS = "healthcheck_fails"  # the image's HEALTHCHECK fails
    HEALTHCHECK_SILENT = "healthcheck_silent"  # the image's HEALTHCHECK had no result by the deadline
    PROBE_COMMAND_MISSING = "probe_command_missing"  # the health check's command is not in the image
    LISTENS_ON_LOCALHOST = "listens_on_localhost"  # it listens on localhost inside its container
    LISTENS_ELSEWHERE = "listens_elsewhere"  # it listens on another port
    NOT_LISTENING = "not_listening"  # it does not listen
    REDIRECTED = "redirected"  # the health check was redirected
    LOGIN_REQUIRED = "login_required"  # the health path asks for a login
    PATH_NOT_FOUND = "path_not_found"  # the health path does not exist
    HOST_REJECTED = "host_rejected"  # it rejects the Host header of the health check
    JOB_FAILED = "job_failed"  # one of its jobs ended with another exit code than 0, or was killed
    JOB_TIMED_OUT = "job_timed_out"  # one of its jobs did not end in time
    NOT_PASSING = "not_passing"  # its health check fails, and nothing more is known


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed of a candidate that failed."""

    version: str
    bundle: Bundle
    answers: tuple[tuple[str, int], ...] = ()  # message and how often in a row; the most recent ones
    asked: int = 0  # how many probes in all
    good: int = 0  # how many of them succeeded
    last_bad: str = ""
    last_good: bool = False  # the last probe
    last_code: AnswerCode | None = None  # of the last probe
    proven: bool = False  # it was healthy before
    status: int | None = None  # of the last probe
    location: str | None = None
    seconds: float = 0.0  # how long it was probed
    running: bool = True
    exit_code: int | None = None
    oom_killed: bool = False
    restarted: bool = False
    health_output: str = ""
    healthcheck_times: HealthcheckTimes | None = None
    probe_exit: int | None = None  # of the probe command inside the container, last run
    listening: tuple[tuple[str, int], ...] = ()  # inside the container
    logs: tuple[str, ...] = ()
    unanswered: int = 0  # client requests that got no response from the app, while none got one
    active_version: str | None = None
    active_env: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`headline` says what happened to which version; `why` is the same for places that already name the version.
    `likely` is None when nothing more is known."""

    cause: FailureCause
    headline: str
    why: str
    likely: str | None = None


Likely = tuple[FailureCause, str]


def diagnose(e: Evidence) -> Diagnosis:
    """Return what happened and the likely cause."""
    if e.oom_killed:
        return _out_of_memory(e)
    if not e.running or e.restarted:
        headline = _ended(e)
        return _with_cause(e, headline, headline, _why_it_ended(e), FailureCause.EXITED)
    if e.unanswered:
        headline = (f"{e.version} passes its health check, but none of {e.unanswered} client requests got a response "
                    "through HAProxy")
        return Diagnosis(FailureCause.NOT_HTTP, headline, headline, "its answers are not valid HTTP/1.1")
    why = _unhealthy(e)
    headline = f"{e.version} {'is no longer' if e.proven else 'did not become'} healthy: {why}"
    return _with_cause(e, headline, why, _why_unhealthy(e), FailureCause.NOT_PASSING)


def _out_of_memory(e: Evidence) -> Diagnosis:
    size = f"{e.bundle.resources.memory / 2**20:.0f} MiB"
    headline = f"{e.version} ran out of memory at its limit of {size} (exit code {e.exit_code})"
    return Diagnosis(FailureCause.OUT_OF_MEMORY, headline, headline,
                     "it needs more: raise memory in [resources], or let the app use less")


def _with_cause(e: Evidence, headline: str, why: str, found: Likely | None, unknown: FailureCause) -> Diagnosis:
    """Add the likely cause: a missing variable or privilege named in the log takes precedence."""
    cause, likely = _missing_env(e) or _needs_setuid(e) or found or (unknown, None)
    return Diagnosis(cause, headline, why, likely)


def _missing_env(e: Evidence) -> Likely | None:
    name = missing_variable(e.logs, dict(e.bundle.env))
    if name is None:
        return None
    if name in e.active_env:
        return FailureCause.LOST_ENV, f"{e.active_version} had {name}, {e.version} has not"
    return FailureCause.MISSING_ENV, f"{name} is not set: add it to [env]"


def _needs_setuid(e: Evidence) -> Likely | None:
    """Return the cause if the log names a program that needs another user's privileges, which no container of ours ever
    gains."""
    line = refused_setuid(e.logs)
    return None if line is None else (
        FailureCause.SETUID, f'its log says "{line}": setuid programs (sudo, su) gain no rights here, because deployctl sets '
        "no-new-privileges. Let the image run as that user, or set user in the app file")


def _ended(e: Evidence) -> str:
    when = "" if e.proven else " before it was healthy"
    if e.exit_code is None:
        return f"{e.version} ended by itself and was restarted by Docker{when}"
    if e.exit_code == 0:
        return f"{e.version} ended by itself with exit code 0{when}"
    signal = EXIT_CODE_SIGNALS.get(e.exit_code)
    return f"{e.version} exited with code {e.exit_code}{f' ({signal})' if signal else ''}{when}"


def _why_it_ended(e: Evidence) -> Likely | None:
    if e.exit_code == 0:
        return (FailureCause.COMMAND_ENDS,
                "its command does its work and ends; a server has to keep running in the foreground")
    if e.exit_code in {126, 127}:
        return FailureCause.COMMAND_MISSING, "the command was not found or is not executable in this image"
    words = last_error(e.logs)
    return None if words is None else (FailureCause.CRASHED, f"its log says {words}")


def _unhealthy(e: Evidence) -> str:
    if not e.answers:
        return f"it could not be asked for {e.seconds:.0f} s"
    sentence, count = e.answers[-1]
    if e.good and (e.last_good or count < e.bundle.probe.fall):
        return (f"{e.last_bad} between good answers for {e.seconds:.0f} s "
                f"({e.good} of {e.asked} good, never {e.bundle.probe.rise} in a row)")
    return f"{sentence} for {e.seconds:.0f} s ({count} of {e.asked} checks)"


def _why_unhealthy(e: Evidence) -> Likely | None:
    match e.bundle.probe.kind:
        case ProbeKind.DOCKER:
            return _healthcheck(e)
        case ProbeKind.EXEC:
            return (FailureCause.PROBE_COMMAND_MISSING, f"the image has no executable program {e.bundle.probe.command[0]}: "
                    "set health.command") if e.probe_exit in {126, 127} and e.bundle.probe.command else None
    return _wrong_listener(e) or _wrong_answer(e)


def _healthcheck(e: Evidence) -> Likely | None:
    """Return what the image's own check printed, and how rarely the engine runs it."""
    times = e.healthcheck_times
    pace = f"it runs every {times.interval:g} s and may take {times.timeout:g} s" if times else ""
    if e.health_output:
        printed = f"the image's HEALTHCHECK printed: {' '.join(e.health_output.split())[:200]}"
        return FailureCause.HEALTHCHECK_FAILS, printed + (f" ({pace})" if pace else "")
    return (FailureCause.HEALTHCHECK_SILENT,
            f"the image's HEALTHCHECK has given no result yet, {pace}: raise health.deadline") if pace else None


def _wrong_listener(e: Evidence) -> Likely | None:
    if e.status is not None:
        return None
    port = e.bundle.port
    addresses = sorted({address for address, p in e.listening if p == port})
    others = sorted({p for address, p in e.listening if p != port and address != DOCKER_DNS})
    if addresses and all(a.startswith("127.") or a == "::1" for a in addresses):
        return FailureCause.LISTENS_ON_LOCALHOST, (
            f"it listens on {addresses[0]}:{port} inside its container, where nobody else can reach it: "
            "let it listen on 0.0.0.0")
    if not addresses and others:
        return FailureCause.LISTENS_ELSEWHERE, (
            f"nothing listens on port {port}, but the app listens on {', '.join(map(str, others))}: set port = {others[0]}")
    looked = bool(e.listening) or e.last_code is AnswerCode.REFUSED  # otherwise listening ports may be unknown
    if not addresses and looked:
        return FailureCause.NOT_LISTENING, (
            f"nothing listens on port {port} yet: it starts slower than health.deadline, or hangs while starting")
    return None


def _wrong_answer(e: Evidence) -> Likely | None:
    if e.location is not None:
        return FailureCause.REDIRECTED, (f"the probe was redirected to {e.location}: choose a health.path that answers "
                                         "itself, or accept the redirect with health.status")
    if e.status in {401, 403}:
        return FailureCause.LOGIN_REQUIRED, "the health path asks for a login: choose one that does not"
    if e.status == 404:
        return FailureCause.PATH_NOT_FOUND, f"{spoken(e.bundle.probe)} does not exist in this version: set health.path"
    if e.status in {400, 421}:
        return FailureCause.HOST_REJECTED, "the app does not accept the Host header of the probe: set health.host"
    return None
