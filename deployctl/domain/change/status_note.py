"""What people should know of an app besides its state: a code to match, and the sentence to read."""

from __future__ import annotations

from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.change.probes import HealthReason


class NoteCode(StrEnum):
    NO_LIVE_VERSION = "no_live_version"  # no version is live: visitors get 503
    TRAFFIC_ELSEWHERE = "traffic_elsewhere"  # HAProxy routes to another release than the ledger says
    LIVE_NOT_PASSING = "live_not_passing"  # the live version does not pass its health check
    COMPONENT_NOT_PASSING = "component_not_passing"  # a component of the live version is down or not healthy
    LIVE_FAILS_REQUESTS = "live_fails_requests"  # the live version fails many more requests than the one before it
    ON_HOLD = "on_hold"  # a version is on hold
    INTERRUPTED = "interrupted"  # a deployment was interrupted; the next change finishes or reverts it


@dataclass(frozen=True, slots=True)
class StatusNote:
    """What a person should know of an app beside its state."""

    code: NoteCode
    app: str
    message: str  # about `version` where there is one; does not name the app
    version: str | None = None
    release: int | None = None
    more: str = ""  # goes on from `message`

    @property
    def line(self) -> str:
        """Return it with the app's name in front, for lists of several apps."""
        return f"{self.app}: {'; '.join(filter(None, (self.message, self.more)))}"


# What an instance that is not passing does, ahead of what its probe got.
_TROUBLE: dict[HealthReason | None, str] = {
    HealthReason.WRONG_ANSWER: "does not pass its health check: ",
    HealthReason.NO_ANSWER: "does not pass its health check: ",
    HealthReason.NONE_ANSWERED: "sends clients no valid response: ",
    HealthReason.RECONNECTED: "is not at its own address: ",
    HealthReason.ANSWERED_BY_ANOTHER: "is not what clients reach: ",
}


def trouble_text(version: str, reason: HealthReason | None, answer: str) -> str:
    """Return what is wrong with a version that is not passing; `answer` is what its probe got, as text."""
    if not answer:
        return f"{version} is not running"
    return f"{version} {_TROUBLE.get(reason, '')}{answer}"
