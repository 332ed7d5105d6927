"""What counting each request costs HAProxy: CPU of its process per request, with the request counts and without their
rules.

Both route to the same app, in turns, so that a figure is of neighbours in time.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.proxy.one_app import OneApp
from bench.table import Row

OF_THE_TALLY = ("tally", "sc-inc-gpc", "txn.answered")


def measure(*, rounds: int, requests: int) -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dctl-bench-")))
        counting, plain = OneApp(stack, folder / "with"), OneApp(stack, folder / "without", _without_tally)
        pairs = [(counting.cpu(requests), plain.cpu(requests)) for _ in range(rounds)]
    return [
        Row("CPU of HAProxy for a request, with the tally", "µs", [a for a, _ in pairs]),
        Row("the same without it", "µs", [b for _, b in pairs]),
        Row("what the tally costs", "µs", [a - b for a, b in pairs], "< 5", "median", 5.0),
    ]


def _without_tally(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in OF_THE_TALLY))
