"""How much one user may do: reads at a time, and changes within a minute, by pages and by the API together.

Threads are few, and while an engine hangs a read occupies one for seconds: a user who requests many must not make others
wait. Rolling back, stopping a bad deployment and signing out are never counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

from flask import Flask, g, request

from deployctl.errors import DeployctlError
from deployctl_web.api.endpoint import calls_of
from deployctl_web.http.admission import whose
from deployctl_web.live.jobs import BACK
from deployctl_web.security.authorization import EVERYBODY, rule_of
from deployctl_web.security.request_checks import SAFE
from deployctl_web.state import web_state

MAX_PARALLEL_REQUESTS = 16  # a third of the server's threads; a browser has six connections
UNLIMITED = frozenset({"sign_in.leave", *(f"act.{verb}" for verb in BACK)})  # forms; an API call declares it itself
SIGN_INS = ("sign_in.enter", "sign_in.enter_by_link")

LimitedView = Callable[..., Any]


class TooManyParallelRequests(DeployctlError):
    code = "too_many_requests"


def put_concurrency_limit(app: Flask) -> None:
    """Count the reads of each user in this application, once the user is known."""
    looking, lock = Counter[str](), Lock()

    def enter() -> None:
        who = g.get("who")
        if who is None or request.method not in SAFE:
            return
        with lock:
            if looking[who.actor] >= MAX_PARALLEL_REQUESTS:
                raise TooManyParallelRequests(
                    f"Too many concurrent requests (limit {MAX_PARALLEL_REQUESTS}). Retry in a moment.")
            looking[who.actor] += 1
        g.looks = who.actor

    def leave(_error: BaseException | None) -> None:
        who = g.pop("looks", None)
        if who is not None:
            with lock:
                looking[who] -= 1
                if not looking[who]:
                    del looking[who]

    app.before_request(enter)
    app.teardown_request(leave)


class TooManyChanges(DeployctlError):
    code = "too_many_requests"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(f"too many changes within a minute. Nothing was done. Try again in {retry_after:.0f} s.")


def put_change_limits(app: Flask) -> None:
    """Limit every changing route for signed-in users, and sign-ins for each address."""
    changing = {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - SAFE}
    unlimited = UNLIMITED | {name for name, call in calls_of(app).items() if call.unlimited}
    for name in changing - unlimited:
        if rule_of(app, name) != EVERYBODY:
            app.view_functions[name] = _limited(app.view_functions[name], _count_change)
    for name in SIGN_INS:
        app.view_functions[name] = _limited(app.view_functions[name], _count_try)


def _limited(view: LimitedView, count: Callable[[], float]) -> LimitedView:
    """Return the view, called only while `count` returns 0, and otherwise not for that many seconds. It raises
    TooManyChanges."""

    @wraps(view)
    def limited(*args: Any, **named: Any) -> Any:
        if wait := count():
            raise TooManyChanges(max(1.0, wait))
        return view(*args, **named)

    return limited


def _count_change() -> float:
    return web_state().changes.count(str(g.who.person), time.monotonic())


def _count_try() -> float:
    """Count by address: with a /64 of IPv6 the addresses to try from would be endless."""
    return web_state().tries.count(f"{request.endpoint} {whose(request.remote_addr or '')}", time.monotonic())
