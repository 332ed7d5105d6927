"""The error tree. A class is something a caller can do about it; `exit_code` is what the shell sees.

DeployctlError               1  failed; the version that was live still is
├── Invalid                  2  fix the argument or the file
├── NotFound                 3  name another app, version or image
│   └── NothingToGoBackTo    3  no earlier release was live here
├── AttentionNeeded          4  incomplete, or contradictory: manual intervention needed
├── Refused                  5  allowed another time or with another flag
│   ├── StateChanged         5  someone switched the traffic first
│   ├── OnHold               5  the version was rolled back and is on hold
│   ├── CopiedHome           5  the home exists at two paths, and this is the copy
│   └── ConfirmationNeeded   5  a question that nobody could answer
├── LeaseHeld                6  this app is being changed right now
├── Unreachable              7  Docker, a registry, HAProxy or the ledger is not responding
│   ├── EngineUnavailable    7
│   │   └── AnotherEngine    7  not the one that this home's containers run on
│   ├── RegistryUnavailable  7
│   ├── ProxyUnavailable     7
│   └── LedgerUnusable       7
├── NotPermitted             8  the operating system or a rule forbids it
│   └── Untrusted            8  others may write to a file or program that would be used
├── RevertedAfterSwitch      9  the candidate failed under traffic and was reverted
└── Interrupted            130  Ctrl-C

EngineRefused and SwitchRefused are plain failures: the other side rejected the request. Exit code 10 (`--exit-code`:
there are differences) is not an error, so it has no class.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class Serving:
    """The live version of an app, as reported with a failure."""

    app: str
    version: str
    release: int
    revision: int
    address: str | None


class DeployctlError(Exception):
    """Something failed, and the version that was live is unharmed."""

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, *, remedy: Sequence[str] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = list(remedy)
        self.serving: Serving | None = None  # added by the use case: the live version
        self.details: list[str] = []  # evidence worth printing: last log lines, probe transcript
        self.cause: str | None = None  # why a candidate failed: a FailureCause
        self.why = ""  # the message without what a page says in its title
        self.discreet: str | None = None  # the message for users who may not know what else is on this server
        if code is not None:
            self.code = code

    def untraced(self) -> Self:
        """Return another error with the same message. An error that was raised keeps all frames it passed through, and
        everything they held: store this one, and raise yet another."""
        kind = type(self)
        same = kind.__new__(kind, *self.args)  # neither traceback nor cause
        same.__dict__.update(self.__dict__)
        same.remedy, same.details = list(self.remedy), list(self.details)
        return same


class Invalid(DeployctlError):
    exit_code = 2
    code = "invalid"


class NotFound(DeployctlError):
    exit_code = 3
    code = "not_found"


class NothingToGoBackTo(NotFound):
    code = "nothing_to_go_back_to"


class AttentionNeeded(DeployctlError):
    exit_code = 4
    code = "attention_needed"


class Refused(DeployctlError):
    exit_code = 5
    code = "refused"


class NetworkFull(Refused):
    """Every address of the network is leased: another network would do."""

    code = "network_full"


class StateChanged(Refused):
    code = "state_changed"


class OnHold(Refused):
    code = "on_hold"


class CopiedHome(Refused):
    code = "copied_home"


class ConfirmationNeeded(Refused):
    """A question that must be answered first. `type_name`: the app's name must be typed, y is not enough."""

    code = "confirmation_needed"

    def __init__(self, question: str, *, type_name: str | None = None, revision: int | None = None) -> None:
        super().__init__(question, remedy=["confirm with -y"])
        self.question = question
        self.revision = revision  # at which it was asked: the answer applies to no other
        self.type_name = type_name


class LeaseHeld(DeployctlError):
    exit_code = 6
    code = "busy"


class Unreachable(DeployctlError):
    exit_code = 7
    code = "unreachable"


class EngineUnavailable(Unreachable):
    code = "engine_unavailable"


class AnotherEngine(EngineUnavailable):
    """The engine is not the one that has this home's containers: nothing that it lacks is lost."""

    code = "another_engine"


class RegistryUnavailable(Unreachable):
    code = "registry_unavailable"


class ProxyUnavailable(Unreachable):
    code = "proxy_unavailable"


class LedgerUnusable(Unreachable):
    code = "ledger_unusable"


class NotPermitted(DeployctlError):
    exit_code = 8
    code = "not_permitted"


class Untrusted(NotPermitted):
    """Others may write to a file that decides what we do, or to a program that we would start."""

    code = "untrusted"


class RevertedAfterSwitch(DeployctlError):
    exit_code = 9
    code = "reverted_after_switch"


class Interrupted(DeployctlError):
    exit_code = 130
    code = "interrupted"


class EngineRefused(DeployctlError):
    code = "engine_refused"


class NetworkTaken(EngineRefused):
    """The network's subnet, name or bridge is taken: another one would do."""

    code = "network_taken"


class PlaceTaken(EngineRefused):
    """The container's port, address or network is taken or gone: it would start elsewhere."""

    code = "place_taken"


class LauncherRefused(EngineRefused):
    """A container cannot be started by our launcher: no program of ours runs there, or the engine is elsewhere."""

    code = "launcher_refused"


class SwitchRefused(DeployctlError):
    code = "switch_refused"


class NotHealthy(DeployctlError):
    """The candidate failed its health check; `details` holds the evidence."""

    code = "not_healthy"


class Aborted(DeployctlError):
    """Someone else aborted this deployment."""

    code = "aborted"
