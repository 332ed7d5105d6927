"""What a value means where its Python type does not show it: plain types for type checkers, format and description for
the OpenAPI document. In `Annotated[str, X]` the text is one of the values of X."""

from __future__ import annotations

from typing import Annotated

At = Annotated[str, "ISO 8601, UTC."]
Ms = Annotated[float, "Milliseconds."]
Percent = Annotated[int, "Percentage of requests."]
