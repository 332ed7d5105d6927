"""What keeping our cookies from apps costs HAProxy: CPU of its process per request, with those rules and without.

For clients without a cookie, with cookies of the app's own, and signed in to the dashboard.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.proxy.one_app import OneApp
from bench.table import Row
from deployctl.domain.proxy.cookies import session_cookie
from deployctl.effects.haproxy.config import cookies

OURS = f"{session_cookie('0123456789abcdef', secure=False)}={'x' * 180}"
SENT = {"without a cookie": "", "with cookies of the app": "Cookie: session=0123456789abcdef; theme=dark\r\n",
        "signed in to the dashboard": f"Cookie: session=0123456789abcdef; {OURS}; theme=dark\r\n"}


def measure(*, rounds: int, requests: int) -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dctl-bench-")))
        dropping, plain = OneApp(stack, folder / "with"), OneApp(stack, folder / "without", _without_rules)
        spent = {who: [(dropping.cpu(requests, more), plain.cpu(requests, more)) for _ in range(rounds)]
                 for who, more in SENT.items()}
    return [row for who, pairs in spent.items() for row in _rows(who, pairs)]


def _rows(who: str, pairs: list[tuple[float, float]]) -> list[Row]:
    limit = () if who == "signed in to the dashboard" else ("< 3", "median", 3.0)
    return [Row(f"CPU of HAProxy for a request, {who}", "µs", [a for a, _ in pairs]),
            Row(f"what keeping our cookies back costs, {who}", "µs", [a - b for a, b in pairs], *limit)]


def _without_rules(text: str) -> str:
    rules = f"{cookies.rules(dashboard=True)}\n"
    if rules not in text:
        raise RuntimeError("these are not the rules that haproxy.cfg has")
    return text.replace(rules, "")
