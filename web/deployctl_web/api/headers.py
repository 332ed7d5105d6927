"""The headers that name the expected revision, and how long to wait for the result."""

from __future__ import annotations

import re
import time
from threading import BoundedSemaphore

from flask import g, request

from deployctl.errors import Invalid
from deployctl_web.live.jobs import Job
from deployctl_web.problems import PreconditionRequired
from deployctl_web.security.rights import RIGHTS_CHECK_SECONDS

IF_MATCH = r'"[0-9]{1,12}"|[0-9]{1,12}|\*'
LONGEST_WAIT = 60  # seconds
WAITERS = 8  # requests that may wait at a time: each occupies a thread of the server

waiting = BoundedSemaphore(WAITERS)


def asked_revision(*, required: bool) -> int | None:
    """Return the revision of If-Match, None for any. Raises PreconditionRequired if a page must name one, Invalid."""
    text = request.headers.get("If-Match")
    if text is not None and not re.fullmatch(IF_MATCH, text):
        raise Invalid("If-Match is not a valid revision. Nothing was done.",
                      remedy=['send the revision you saw: If-Match: "118"'])
    if text not in {None, "*"}:
        return int(str(text).strip('"'))
    if required and g.via != "token":
        raise PreconditionRequired("The revision is missing: send it as If-Match. Nothing was done.",
                                   remedy=["reload the page"])
    return None


def wait_for(job: Job) -> bool:
    """Wait for the job as long as Prefer says, if there is room to wait, and return whether it has ended.

    The wait ends if the user's right does: users with the right can still query the result.
    """
    seconds = asked_wait()
    if job.done or seconds == 0 or not waiting.acquire(blocking=False):
        return job.done
    try:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not job.wait(min(RIGHTS_CHECK_SECONDS, left)) and g.right.holds():
            pass
        return job.done
    finally:
        waiting.release()


def asked_wait() -> int:
    """Return the seconds of `Prefer: wait=N`, 0 without. Other preferences are ignored, as RFC 7240 says."""
    for one in request.headers.get("Prefer", "").split(","):
        found = re.fullmatch(r"\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?:;.*)?", one, re.IGNORECASE)
        if found:
            return min(int(found[1]), LONGEST_WAIT)
    return 0
