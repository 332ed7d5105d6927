"""Judgement over probes as a small value: fed with answers, asked whether it is ready or failing."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Self

from deployctl.dataclass import dataclass, replace


class HealthReason(StrEnum):
    """Why an instance is not passing."""

    WRONG_ANSWER = "wrong_answer"  # it answers, and not as its probe wants
    NO_ANSWER = "no_answer"  # its probe fails otherwise
    NONE_ANSWERED = "none_answered"  # the probe is fine, and of at least ten requests of the last minute none was answered
    RECONNECTED = "reconnected"  # its container has another address than its own
    ANSWERED_BY_ANOTHER = "answered_by_another"  # this host sends what is for its address to another MAC than its own
    OTHER_IMAGE = "other_image"  # what stands in its place is made of another image
    NOT_RUNNING = "not_running"


class AnswerCode(StrEnum):
    """Why a probe got no answer, or one that it does not accept."""

    WRONG_STATUS = "wrong_status"
    REDIRECTED = "redirected"
    WRONG_BODY = "wrong_body"
    REFUSED = "refused"  # nothing listens there
    TIMEOUT = "timeout"
    CLOSED = "closed"  # the connection, without an answer
    NOT_HTTP = "not_http"
    UNREACHABLE = "unreachable"
    UNHEALTHY = "unhealthy"  # by the image's HEALTHCHECK, which may have no result yet
    COMMAND_FAILED = "command_failed"
    NOT_ASKED = "not_asked"  # the probe cannot be asked this way


@dataclass(frozen=True, slots=True)
class Health:
    """Counts answers in a row. `rise` good ones make it ready, `fall` bad ones make it failing."""

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
    """What the probes said, equal sentences in a row counted, at most `LIMIT` groups."""

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
