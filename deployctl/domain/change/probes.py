"""Judging health as a small value: fed with probe results, it says whether an instance is ready or failing."""

from __future__ import annotations

from enum import StrEnum

from deployctl.dataclass import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Self


class HealthReason(StrEnum):
    """Why an instance is not passing."""

    WRONG_ANSWER = "wrong_answer"  # it responds, but not as its health check requires
    NO_ANSWER = "no_answer"  # its health check fails in another way
    NONE_ANSWERED = "none_answered"  # the check passes, but none of ten or more requests in the last minute got a response
    RECONNECTED = "reconnected"  # its container has another address than its own
    ANSWERED_BY_ANOTHER = "answered_by_another"  # another container responds at its address
    OTHER_IMAGE = "other_image"  # the container in its place was created from another image
    NOT_RUNNING = "not_running"  # it is not running


class AnswerCode(StrEnum):
    """Why a probe got no response, or one that it does not accept."""

    WRONG_STATUS = "wrong_status"  # an HTTP status that is not accepted
    REDIRECTED = "redirected"  # a redirect
    WRONG_BODY = "wrong_body"  # a body without the required text
    REFUSED = "refused"  # connection refused: nothing listens there
    TIMEOUT = "timeout"  # no response in time
    CLOSED = "closed"  # the connection was closed without a response
    NOT_HTTP = "not_http"  # the response is not valid HTTP
    UNREACHABLE = "unreachable"  # no route to the address
    UNHEALTHY = "unhealthy"  # unhealthy according to the image's HEALTHCHECK, or no result yet
    COMMAND_FAILED = "command_failed"  # the command exited with a status other than 0
    NOT_ASKED = "not_asked"  # the check could not be run


@dataclass(frozen=True, slots=True)
class Health:
    """Counts results in a row: `rise` good ones make it ready, `fall` bad ones make it failing."""

    rise: int
    fall: int
    good: int = 0
    bad: int = 0

    def seen(self, *, ok: bool) -> Self:
        return replace(self, good=self.good + 1, bad=0) if ok else replace(self, good=0, bad=self.bad + 1)

    @property
    def ready(self) -> bool:
        return self.good >= self.rise

    @property
    def failing(self) -> bool:
        return self.bad >= self.fall


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the probes reported, with consecutive equal messages counted; at most `LIMIT` groups."""

    groups: tuple[tuple[str, int], ...] = ()

    LIMIT: ClassVar[int] = 40

    def seen(self, sentence: str) -> Self:
        if self.groups and self.groups[-1][0] == sentence:
            return replace(self, groups=(*self.groups[:-1], (sentence, self.groups[-1][1] + 1)))
        return replace(self, groups=(*self.groups, (sentence, 1))[-self.LIMIT :])

    @property
    def total(self) -> int:
        return sum(count for _, count in self.groups)

    def lines(self) -> list[str]:
        return [f"{count} × {sentence}" if count > 1 else sentence for sentence, count in self.groups]
