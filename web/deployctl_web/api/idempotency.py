"""A request with an Idempotency-Key is done once: a repeated request gets the first response, even across a restart.

A temporary rejection (busy, too many, not responding) is not stored: the request may be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import cast

from flask import Response, current_app, g, request

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.access import KeptAnswer
from deployctl.errors import DeployctlError, Invalid
from deployctl.usecases.clock_math import later
from deployctl_web.api.headers import waiting
from deployctl_web.problems import problem
from deployctl_web.security import audit_log
from deployctl_web.state import web_state

HEADER, REPLAY = "Idempotency-Key", "Idempotent-Replay"
KEY_PATTERN = r"[!-~](?:[ -~]{0,126}[!-~])?"
KEYS_KEPT_SECONDS = 86_400.0  # seconds
FIRST_WAIT_SECONDS = 10.0  # seconds that the second request waits for the first
MAX_KEYS_EACH = 5000  # of one user: rollbacks are not rate limited, and each key takes a row
CLEARED_EVERY = 900.0  # seconds,
CLEARED_AFTER = 500  # or requests with a key
TRY_AGAIN = frozenset({423, 429})
CARRIED = ("Content-Type", "Location", "ETag")
KEYS_EXTENSION = "deployctl.keys"

RouteAction = Callable[[], Response]


class StillRunning(DeployctlError):
    code = "still_running"


class OutcomeUnknown(DeployctlError):
    code = "outcome_unknown"


class KeyReused(DeployctlError):
    code = "key_reused"


class ShownOnce(DeployctlError):
    code = "shown_once"


@dataclass(slots=True)
class IdempotencyKeys:
    """The keys whose requests are in progress in this process: (who, key) → the request, and when it ends."""

    running: dict[tuple[str, str], tuple[str, Event]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    cleared: float = -CLEARED_EVERY
    since: int = 0  # requests with a key since then

    def begin(self, who: str, key: str, asked: str) -> Event | None:
        """Return None if the key is ours now, else what to wait for. Raises KeyReused."""
        with self.lock:
            other = self.running.get((who, key))
            if other is None:
                self.running[who, key] = (asked, Event())
                return None
        _require_same(other[0], asked)
        return other[1]

    def end(self, who: str, key: str) -> None:
        with self.lock:
            _, ended = self.running.pop((who, key))
        ended.set()

    def is_due(self) -> bool:
        """Return, once in a while, whether to delete what is too old."""
        with self.lock:
            self.since += 1
            due = self.since >= CLEARED_AFTER or time.monotonic() - self.cleared >= CLEARED_EVERY
            if due:
                self.cleared, self.since = time.monotonic(), 0
        return due


def once(act: RouteAction, *, secret: bool) -> Response:
    """Return the response of `act`, or the earlier one to this key. `secret`: it is never written down."""
    key = request.headers.get(HEADER)
    if key is None:
        return act()
    if not re.fullmatch(KEY_PATTERN, key):
        raise Invalid(f"{HEADER} has 1 to 128 visible ASCII characters. Nothing was done.", remedy=["use a random string"])
    keys, who, asked = _keys(), g.who.actor, _fingerprint()
    end = time.monotonic() + FIRST_WAIT_SECONDS
    while (other := keys.begin(who, key, asked)) is not None:
        if not _waited(other, end):
            raise StillRunning("the first request with this key is still in progress.",
                               remedy=["retry with the same key", "deployctl status"])
    try:
        return _first_or_kept(act, who, key, asked, secret=secret)
    finally:
        keys.end(who, key)


def _waited(other: Event, end: float) -> bool:
    """Wait for the first request, if there is room to wait, and return whether it has ended."""
    if not waiting.acquire(blocking=False):
        return other.is_set()
    try:
        return other.wait(max(0.0, end - time.monotonic()))
    finally:
        waiting.release()


def _first_or_kept(act: RouteAction, who: str, key: str, asked: str, *, secret: bool) -> Response:
    try:
        kept = _begin(who, key, asked)
    except DeployctlError as e:
        if e.code != "disk_full":
            raise
        return act()  # a rollback still works on a full disk; only the key is not stored
    if kept is not None:
        return _again(kept, asked)
    answer = None
    try:
        answer = _answered(act)
        return answer
    finally:  # what crashed may be sent again, too
        _end(who, key, answer, secret=secret)


def _begin(who: str, key: str, asked: str) -> KeptAnswer | None:
    with web_state().pool.lend(who) as s:
        now = s.clock.utc()
        since = later(now, -KEYS_KEPT_SECONDS)
        if _keys().is_due():
            s.ledger.forget_answers(before=since, most=MAX_KEYS_EACH)
        return s.ledger.begin_answer(who, key, asked, at=now, since=since)


def _answered(act: RouteAction) -> Response:
    try:
        return act()
    except DeployctlError as error:
        return problem(audit_log.note_refusal(error))


def _end(who: str, key: str, answer: Response | None, *, secret: bool) -> None:
    """Store the response, or delete the key. If it cannot be written, the key's outcome remains unknown."""
    try:
        with web_state().pool.lend(who) as s:
            if answer is None or answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
                s.ledger.forget_answer(who, key)
            else:
                s.ledger.finish_answer(who, key, status=answer.status_code, body=_packed(answer, secret=secret))
    except DeployctlError as e:
        current_app.logger.warning("an answer could not be kept: %s", e.message)


def _packed(answer: Response, *, secret: bool) -> str:
    if secret and answer.status_code < 400:
        return ""
    headers = {name: answer.headers[name] for name in CARRIED if name in answer.headers}
    return json.dumps({"headers": headers, "text": answer.get_data(as_text=True)})


def _again(kept: KeptAnswer, asked: str) -> Response:
    _require_same(kept.asked, asked)
    if kept.status is None:
        raise OutcomeUnknown("The server stopped while a request with this key was in progress: it is not known "
                             "whether it was executed. Nothing was done now.",
                             remedy=["look at the status", "retry with another key if it is still needed"])
    if not kept.body:
        raise ShownOnce("this was done, and the response contained a secret that is shown only once. Nothing was done now.",
                        remedy=["create another one, with another key"])
    packed = json.loads(kept.body)
    return Response(packed["text"], kept.status, {**packed["headers"], REPLAY: "true"})


def _require_same(before: str, asked: str) -> None:
    if not hmac.compare_digest(before, asked):
        raise KeyReused("this key was used for another request. Nothing was done.", remedy=["use a new key for each request"])


def _fingerprint() -> str:
    """Return what distinguishes this request from others. It is keyed: a body may contain a password, and this is
    written down."""
    content = b"\0".join((request.method.encode(), request.full_path.encode(errors="replace"), request.get_data()))
    return hmac.new(web_state().place.key, content, hashlib.sha256).hexdigest()


def _keys() -> IdempotencyKeys:
    return cast(IdempotencyKeys, current_app.extensions.setdefault(KEYS_EXTENSION, IdempotencyKeys()))
