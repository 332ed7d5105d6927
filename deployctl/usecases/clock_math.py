"""Arithmetic on wall-clock times as the ledger writes them: ISO 8601, UTC, to the millisecond, so that text order is
time order."""

from __future__ import annotations

from deployctl.stdlib import UTC, datetime, timedelta


def later(at: str, seconds: float) -> str:
    """Return the time that many seconds after `at`, or before it if negative."""
    moved = _parsed(at) + timedelta(seconds=seconds)
    return moved.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(start: str, end: str) -> float:
    return (_parsed(end) - _parsed(start)).total_seconds()


def unix(at: str) -> float:
    """Return Unix time in seconds; the engine's timestamps have nine fractional digits."""
    return _parsed(at).timestamp()


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)
