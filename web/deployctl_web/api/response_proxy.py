"""HAProxy's own error responses, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployctl_web.api.request_fields import AppText
from deployctl_web.api.response_models import Answer, At, Document


class Refusal(Answer):
    """One request that HAProxy responded to itself."""

    at: At
    app: str | None = Field(description="null: the host name belongs to no app, or could not be read.")
    release: int | None = Field(description="null: no release was contacted.")
    status: int
    cause: str = Field(description="A code: bad_request, slow_request, unknown_host, no_release, denied, unreachable, "
                                   "no_answer, timeout, not_http, invalid_answer or other.")
    client: str
    method: str = Field(description="Empty if no request could be read; then so are host and path.")
    host: str = Field(description="Only for unknown_host.")
    path: str = Field(description="Without its query.")
    detail: str = Field(description="Where HAProxy stopped reading; known for the last one only.")
    gate: bool = Field(description="Sent by an upgrade, not by a client.")
    text: str


class Refusals(Document):
    kind: Literal["Refusals"]
    app: AppText
    lines: list[Refusal]
