"""Visitors that come whether they are answered or not, and an honest count of them.

    with Visitors("http://127.0.0.1:8000/", rate=40) as visitors:
        ...
    print(visitors.count.sentence)          # 4,812 requests, 0 lost

They come from a process of their own, so that the caller's work does not delay them; it ends with the caller.
From a shell: `python -m deployctl.demo.visitors URL --rate 200 --seconds 10`; exit code 1 when a request was lost.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from deployctl.demo.visitor_count import Count
from deployctl.errors import DeployctlError, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_STARTED = b"started\n"
_PACKAGE_ROOT = Path(__file__).parents[2]


class Visitors:
    """A crowd in a child process. `start` returns when the first request is due; `stop` waits for the last response."""

    def __init__(self, url: str, rate: float = 40.0, *, keep_alive: bool = True, timeout: float = 5.0,
                 retry_stale: bool = False, host: str | None = None) -> None:  # fmt: skip
        _require_visitable(url, rate)
        self._timeout = timeout
        self._arguments = [url, "--rate", str(rate), "--timeout", str(timeout), "--seconds", "0", "--json"]
        self._arguments += [] if keep_alive else ["--no-keep-alive"]
        self._arguments += ["--retry-stale"] if retry_stale else []
        self._arguments += ["--host", host] if host else []
        self._process: subprocess.Popen[bytes] | None = None
        self._count: Count | None = None

    def start(self) -> None:
        """Start them; the first request is due now."""
        command = [sys.executable, "-m", __spec__.name, *self._arguments, "--with-parent"]
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_PACKAGE_ROOT, start_new_session=True
        )
        if self._process.stdout is None or self._process.stdout.readline() != _STARTED:
            self._end_process()
            raise DeployctlError("the visitors did not start; see their output above")

    def stop(self) -> Count:
        """Send no more requests, wait for open ones, and return the count. Idempotent."""
        if self._process:
            report = self._end_process()
            if not report:
                raise DeployctlError("the visitors stopped without a count; see their output above")
            self._count = Count.from_json(report)
        return self.count

    def so_far(self) -> Count:
        """Return the count so far while they continue; open requests are not included.

        Raises DeployctlError if they are not running or have ended by themselves.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise DeployctlError("the visitors are not running")
        with suppress(BrokenPipeError):
            process.stdin.write(b"\n")
        report = process.stdout.readline()
        if not report:
            raise DeployctlError("the visitors stopped by themselves; see their output above")
        return Count.from_json(report)

    @property
    def count(self) -> Count:
        if self._count is None:
            raise DeployctlError("no count: the visitors are still running, or never started")
        return self._count

    def _end_process(self) -> bytes:
        process, self._process = self._process, None
        if process is None:
            return b""
        with process:
            try:
                return process.communicate(timeout=self._timeout + 10)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                return b""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.stop()


def _require_visitable(url: str, rate: float) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise Invalid(f"{url!r} is not an address for visitors; use http://HOST:PORT/PATH")
    if not rate > 0:
        raise Invalid(f"{rate:g} requests per second: must be more than 0")


def main(arguments: list[str] | None = None) -> int:
    """Visit as the command line says, print the count, and return 1 if a request was lost."""
    import asyncio

    from deployctl.demo.visitor_crowd import VisitPlan, visit

    parsed = vars(_parsed(arguments))
    as_json, with_parent = parsed.pop("json"), parsed.pop("with_parent")
    started = partial(_tell, _STARTED.decode()) if with_parent else lambda: None
    counted = asyncio.run(visit(VisitPlan(**parsed), started=started, report=_report if with_parent else None))
    _tell((counted.as_json() if as_json else counted.sentence) + "\n")
    return 1 if counted.lost else 0


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        _require_visitable(parsed.url, parsed.rate)
    except Invalid as e:
        parser.error(e.message)
    return parsed


def _report(count: Count) -> None:
    _tell(count.as_json() + "\n")


def _tell(text: str) -> None:
    with suppress(BrokenPipeError):  # the reader is gone
        os.write(sys.stdout.fileno(), text.encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployctl.demo.visitors", description="Send requests and count responses.")
    parser.add_argument("url", help="http://HOST:PORT/PATH")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second, regardless of responses")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration; 0: until Ctrl-C")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds after which a request counts as lost")
    parser.add_argument("--host", help="Host header, if different from the URL's")
    parser.add_argument("--no-keep-alive", dest="keep_alive", action="store_false", help="one connection per request")
    parser.add_argument("--retry-stale", action="store_true", help="retry if a kept-alive connection was closed")
    parser.add_argument("--json", action="store_true", help="print the whole count instead of one sentence")
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
