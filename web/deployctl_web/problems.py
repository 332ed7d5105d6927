"""Errors as programs read them: RFC 9457, with the same code, remedy and `serving` as the JSON of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from flask import Response, request
from werkzeug.exceptions import HTTPException

from deployctl.dataclass import dataclass
from deployctl.errors import ConfirmationNeeded, DeployctlError, Serving
from deployctl.usecases.views import as_json

if TYPE_CHECKING:
    from deployctl.domain.change.diagnosis import FailureCause

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "5"  # seconds after which to try again, if nothing better is known

# An error's code → the corresponding HTTP status.
STATUS = {
    "invalid": 400, "usage": 400, "not_signed_in": 401, "wrong_sign_in": 401, "wrong_link": 401,
    "not_permitted": 403, "sign_in_again": 403, "registry_not_allowed": 403, "image_not_allowed": 403, "forged": 403,
    "rights_changed": 403,
    "not_found": 404, "method_not_allowed": 405, "too_large": 413, "unsupported_media_type": 415, "wrong_host": 421,
    "nothing_to_go_back_to": 409, "attention_needed": 409, "refused": 409, "on_hold": 409, "confirmation_needed": 409,
    "not_healthy": 409, "reverted_after_switch": 409, "aborted": 409, "failed": 409, "address_taken": 409, "lock_lost": 409,
    "replicas_not_written": 409,
    "state_changed": 409, "still_running": 409, "outcome_unknown": 409, "shown_once": 409, "key_reused": 422,
    "busy": 423, "precondition_required": 428, "too_many_tries": 429, "too_many_requests": 429, "internal": 500,
    "proxy_unavailable": 502, "engine_refused": 502, "switch_refused": 502, "unreachable": 503,
    "engine_unavailable": 503, "registry_unavailable": 503, "ledger_unusable": 503, "interrupted": 503,
    "disk_full": 507,
}  # fmt: skip
# The meaning of each error status, for people.
STATUS_MEANINGS = {
    400: "Invalid request; the message names the field.", 401: "Not signed in.",
    403: "Permission denied, or the request came from another site.",
    404: "Not found, or not visible to you.", 405: "Method not allowed.",
    409: "Conflict with the current state; nothing was changed unless `detail` says otherwise.",
    412: "Traffic was switched since that revision; nothing was changed.", 413: "The body is larger than 64 KB.",
    415: "The body must be JSON.", 421: "Unknown host name.",
    422: "The idempotency key was used for another request.",
    423: "Another change of this app is in progress; nothing was changed.",
    428: "A browser session must send If-Match.", 429: "Too many changes within a minute.",
    500: "Internal error; its number is in the log.", 502: "HAProxy or Docker rejected the change.",
    503: "Docker, HAProxy, a registry or the ledger is not responding.", 507: "The disk is full.",
}  # fmt: skip
_BY_EXIT_CODE = {1: 409, 2: 400, 3: 404, 4: 409, 5: 409, 6: 423, 7: 503, 8: 403, 9: 409, 10: 409, 130: 503}
_PLAIN = {400: "invalid", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type",
          429: "too_many_requests"}


class PreconditionRequired(DeployctlError):
    """A page switches traffic only at the revision that it shows."""

    code = "precondition_required"


def status_of(error: DeployctlError) -> int:
    """Return the HTTP status that corresponds to the error. A code that is not in the table goes by its exit code."""
    return STATUS.get(error.code, _BY_EXIT_CODE.get(error.exit_code, 500))


def answer_status(error: DeployctlError) -> int:
    """Return the status of this response: a revision sent as an HTTP precondition fails as one."""
    return 412 if error.code == "state_changed" and "If-Match" in request.headers else status_of(error)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error (RFC 9457). `code` is the same word as on the command line."""

    type: str  # links to an explanation of the code
    title: str
    status: int
    detail: Annotated[str, "What happened, for people."]
    code: str
    cause: Annotated[Annotated[str, FailureCause] | None, "Why a candidate failed, as far as that is known."]
    remedy: Annotated[tuple[str, ...], "Suggested next steps."]
    serving: Annotated[Serving | None, "The live version, if known."]
    details: Annotated[tuple[str, ...], "Evidence: invalid fields, last log lines, probe results."]
    revision: Annotated[int | None, "The revision at which confirmation was requested."]


def problem_of(error: DeployctlError, status: int) -> Problem:
    return Problem(
        f"/api/docs#{error.code}", error.code.replace("_", " ").capitalize(), status, error.message, error.code, error.cause,
        tuple(_remedy(error, status)), error.serving, tuple(error.details), getattr(error, "revision", None))


def problem(error: DeployctlError) -> Response:
    """Return the error as this request's response."""
    status = answer_status(error)
    return _answer(problem_of(error, status), _headers(error, status))


def plain_problem(error: HTTPException) -> Response:
    """Return Flask's own errors: no such page, a method, a body too large."""
    status = error.code or 500
    plain = DeployctlError(_sentence(error), code=_PLAIN.get(status, error.name.lower().replace(" ", "_")))
    headers = {name: text for name, text in error.get_headers(request.environ) if name in {"Allow", "Retry-After"}}
    return _answer(problem_of(plain, status), _headers(plain, status) | headers)


def _sentence(error: HTTPException) -> str:
    """Return the message; werkzeug's own for a missing page speaks of spelling."""
    sentences = {404: "there is no such page or resource.", 405: f"{request.method} is not allowed here.",
                 413: "the body is too large.", 429: "too many changes within a minute."}
    return sentences.get(error.code or 500) or error.description or error.name


def _remedy(error: DeployctlError, status: int) -> list[str]:
    if status == 404 and _is_former_twin():
        return ["the JSON API is at /api/v1, documented at /api/docs"]
    if isinstance(error, ConfirmationNeeded):
        return ['confirm beforehand: retry with "yes": true']
    return list(error.remedy)


def _headers(error: DeployctlError, status: int) -> dict[str, str]:
    """Return when to try again, if that makes sense, and how to sign in."""
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if status == 404 and _is_former_twin():
        return {"Link": '</api/v1/openapi.json>; rel="service-desc"'}
    return when_again(error, status)


def _is_former_twin() -> bool:
    """Return whether the JSON of a page is requested: pages had some until 0.3."""
    return request.path.endswith(".json") and not request.path.startswith("/api/")


def when_again(error: DeployctlError, status: int) -> dict[str, str]:
    """Return the header that says when to try again, if that makes sense."""
    after = getattr(error, "retry_after", None)
    if after is not None:
        return {"Retry-After": str(max(1, round(after)))}
    return {"Retry-After": RETRY_AFTER_SECONDS} if status in {423, 429, 503} or error.code == "still_running" else {}


def _answer(problem: Problem, headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(as_json(problem)) + "\n", problem.status, headers, content_type=MEDIA_TYPE)
