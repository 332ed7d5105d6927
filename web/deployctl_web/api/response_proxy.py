"""What HAProxy answered itself, as the document of the API describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployctl_web.api.request_fields import AppText
from deployctl_web.api.response_models import Answer, At, Document


class Refusal(Answer):
    """One request that HAProxy answered itself."""

    at: At
    app: str | None = Field(description="null: a host name of no app, or none that could be read.")
    release: int | None = Field(description="null: no release was asked.")
    status: int
    cause: str = Field(description="A code: bad_request, slow_request, unknown_host, no_release, denied, unreachable, "
                                   "no_answer, timeout, not_http, invalid_answer or other.")
    client: str
    method: str = Field(description="Empty when no request could be read; then host and path are, too.")
    host: str = Field(description="Only of an unknown one.")
    path: str = Field(description="Without its query.")
    detail: str = Field(description="Where HAProxy stopped; known of the last one only.")
    gate: bool = Field(description="Asked by an upgrade and not by a visitor.")
    text: str


class Refusals(Document):
    kind: Literal["Refusals"]
    app: AppText
    lines: list[Refusal]
