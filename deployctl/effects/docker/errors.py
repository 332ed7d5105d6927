"""The one place where Docker's errors, by status or by text, become ours.

Docker reports much only as text: a wrong password is a 500, a port in use is a 500, a missing program is a 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deployctl.errors import (
    EngineRefused,
    EngineUnavailable,
    Invalid,
    NotFound,
    NotPermitted,
    PlaceTaken,
    RegistryUnavailable,
)
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.effects.docker.login import Login
    from deployctl.errors import (
        DeployctlError,
    )

_GONE_FOR_A_MOMENT = pattern(
    r"is already in progress|shutting down|containerd is not running|containerd\.sock|context canceled|grpc: the "
    r"connection|Cannot connect to the Docker daemon|transport is closing"
)
_TAKEN = pattern(
    r"^Conflict\. The (?:container )?name|container name \S+ is already in use|network with name \S+ already exists|"
    r"network name \S+ already used|Pool overlaps|subnet \S+ is already used|networks have same bridge name"
)
_PLACE = pattern(
    r"port is already allocated|bind: address already in use|Address already in use$|^network \S+ not found",
)
_NO_SUCH = pattern(
    r"^No such (?:image|container|exec instance)|^reference does not exist|image not known$|: no such container$",
    re.IGNORECASE,
)
_NO_LOGIN = pattern(
    r"unauthorized|no basic auth credentials|authentication required|incorrect username or password|\b401\b", re.IGNORECASE
)
_DENIED = pattern(r"pull access denied|\bdenied$|HEAD request to \S+/manifests/\S+: 403 Forbidden")
_NO_ACCESS = pattern(r"denied: (?!requested access)|\b403\b", re.IGNORECASE)
_NO_IMAGE = pattern(
    r"manifest unknown|manifest for .* not found|name unknown|repository .* not found|does not exist|not found(?:: |$)|"
    r"no matching manifest|name invalid",
    re.IGNORECASE,
)


class EngineSilent(EngineUnavailable):
    """It accepted the request and did not respond in time: whether it acted is unknown, and a retry takes as long."""


class EngineConflict(EngineRefused):
    """Name or subnet are taken: perhaps by our own request whose response was lost. Read again."""


def unavailable(address: str, reason: str, *, silent: bool = False) -> EngineUnavailable:
    return (EngineSilent if silent else EngineUnavailable)(
        f"Docker is not responding on {address} ({reason}). "
        "Running apps are not affected; HAProxy can switch without Docker.",
        remedy=["sudo systemctl start docker", "deployctl doctor"],
    )


def store_silent(address: str) -> EngineUnavailable:
    """Return the error for an engine that responds, but not about its images."""
    return EngineUnavailable(
        f"Docker on {address} responds, but not about its images: containerd, which stores them, is down or hangs. "
        "Running apps are not affected.", remedy=["systemctl status containerd docker", "sudo systemctl restart containerd"],
        code="image_store_silent")


def from_os_error(error: OSError, address: str) -> DeployctlError:
    """Return the error for a failed connection."""
    match error:
        case PermissionError():
            return NotPermitted(
                f"this user is not allowed to access Docker on {address}",
                remedy=["sudo usermod -aG docker $USER", "newgrp docker"],
            )
        case TimeoutError():
            return unavailable(address, "no response in time", silent=True)
        case ConnectionRefusedError():
            return unavailable(address, "connection refused")
        case FileNotFoundError():
            return unavailable(address, "no such socket")
        case ConnectionError():
            return unavailable(address, "the connection was lost")
        case _:
            return unavailable(address, error.strerror or str(error) or type(error).__name__)


def from_answer(status: int, message: str, *, doing: str, address: str) -> DeployctlError:
    """Return the error for a rejection by the engine."""
    from deployctl.effects.docker.sentences import clear

    if status == 503 or _GONE_FOR_A_MOMENT.search(message):
        return unavailable(address, clear(message))
    if status == 404 and _NO_SUCH.search(message):
        return NotFound(f"{doing}: {clear(message)}")
    if status in {401, 403} and "authorization denied" in message:
        return NotPermitted(f"{doing}: {clear(message)}")
    if "no space left on device" in message:
        return EngineRefused(f"{doing}: {clear(message)}", remedy=["docker system df", "deployctl prune"])
    if "IPv4 forwarding is disabled" in message:
        return EngineRefused(f"{doing}: {clear(message)}", remedy=["sudo sysctl net.ipv4.ip_forward=1"], code="forwarding_off")
    kind = EngineConflict if _TAKEN.search(message) else PlaceTaken if _PLACE.search(message) else EngineRefused
    return kind(f"{doing}: {clear(message)}")


def pull_failure(reference: str, registry: str, message: str, *, address: str, login: Login | None = None) -> DeployctlError:
    """Return the error for a failed pull: no such image, access denied, or an unreachable registry.

    If a login could have helped and there was a problem with it, the message says so.
    """
    failure = _pull_failure(reference, registry, message, address=address)
    problem = login.problem if login else None
    if problem is None or isinstance(failure, EngineUnavailable):
        return failure
    return type(failure)(f"{failure.message}. The request had no login: {problem.sentence}",
                         remedy=[*problem.remedy, *failure.remedy], code=problem.code)


def _pull_failure(reference: str, registry: str, message: str, *, address: str) -> DeployctlError:
    from deployctl.effects.docker.sentences import clear

    if "no space left on device" in message:
        return from_answer(500, message, doing=f"pull {reference}", address=address)
    if _GONE_FOR_A_MOMENT.search(message):
        return unavailable(address, clear(message))
    if "no matching manifest" in message:
        other = f"{reference} exists, but not for this server's processor architecture"
        return NotFound(other, remedy=[f"docker manifest inspect {reference}"])
    no_access = RegistryUnavailable(
        f"{registry} denied the pull of {reference}: {clear(message)}", remedy=[_login(registry)]
    )
    if _NO_LOGIN.search(message):  # first: containerd also reports that access was denied
        return no_access
    if _DENIED.search(message):
        return NotFound(
            f"{registry} has no {reference}, or requires a login for it", remedy=[_login(registry)]
        )
    if _NO_ACCESS.search(message):
        return no_access
    if _NO_IMAGE.search(message):
        return NotFound(f"{registry} has no {reference}", remedy=["Check the name and the version"])
    return RegistryUnavailable(f"{reference} cannot be pulled: {clear(message)}", remedy=[f"docker pull {reference}"])


def _login(registry: str) -> str:
    return f"docker login {registry}"


@contextmanager
def translated(doing: str, address: str) -> Iterator[None]:
    """Let no docker-py or requests error escape; the cause is kept."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as e:
        raise from_answer(e.status_code or 500, _message_of(e), doing=doing, address=address) from e
    except (DockerException, RequestException, OSError) as e:
        raise _from_sdk(e, doing, address) from e


def _message_of(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error)


def _from_sdk(error: Exception, doing: str, address: str) -> DeployctlError:
    """docker-py wraps what happened up to four times; the innermost reason counts."""
    from docker.errors import APIError, DockerException

    from deployctl.effects.docker.sentences import clear

    for cause in _causes(error):
        if isinstance(cause, APIError):
            return from_answer(cause.status_code or 500, _message_of(cause), doing=doing, address=address)
        if type(cause).__name__ in {"ReadTimeout", "ReadTimeoutError", "ConnectTimeout", "ConnectTimeoutError"}:
            return unavailable(address, "no response in time", silent=True)
        if type(cause).__module__ == "builtins" and isinstance(cause, OSError):
            return from_os_error(cause, address)
    if "paramiko" in str(error):
        return Invalid("an ssh:// engine.url needs the Python package paramiko", remedy=["pip install paramiko"])
    if isinstance(error, DockerException):
        return EngineRefused(f"{doing}: {clear(str(error))}")
    return unavailable(address, clear(str(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything it wraps, as cause, as context or as an argument (urllib3)."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, *current.args, getattr(current, "reason", None)]
        waiting += [one for one in inner if isinstance(one, BaseException)]
