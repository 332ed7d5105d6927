"""How many reads of one user are handled at a time: a user who requests more than that must not make others wait.

Threads are few, and while an engine hangs a read occupies one for seconds. Changes are never counted: a rollback is
always handled.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock

from flask import Flask, g, request

from deployctl.errors import DeployctlError
from deployctl_web.security.request_checks import SAFE

MAX_PARALLEL_REQUESTS = 16  # a third of the server's threads; a browser has six connections


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
