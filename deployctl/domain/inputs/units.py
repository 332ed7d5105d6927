"""What a value is where its Python type does not say so: read by type checkers as the plain type, and by the API's document
for the format and the description. In `Annotated[str, X]` the text is one of the values of X."""

from __future__ import annotations

from typing import Annotated

At = Annotated[str, "ISO 8601, UTC."]
Ms = Annotated[float, "Milliseconds."]
Percent = Annotated[int, "Percentage of requests."]
